/** One server-sent event. A comment, which a server sends as a heartbeat, is no event. */
export interface StreamEvent {
  /** `message` where the stream names none. */
  readonly event: string;
  readonly id: string | undefined;
  readonly data: string;
}

/** More of one event than this is no event of a controller. */
const MAX_LETTERS = 4 * 1024 * 1024;

/** Reads server-sent events from pieces of text, wherever these are cut. Pure but for what it holds of an unfinished one. */
export class EventReader {
  #rest = '';
  #event = '';
  #id: string | undefined;
  #data: string[] = [];
  #held = 0;

  /** The events that are whole now. Throws RangeError of one that has no end. */
  push(text: string): StreamEvent[] {
    const found: StreamEvent[] = [];
    this.#rest += text;
    // A last CR may be the half of a CRLF.
    const lines = this.#rest.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    this.#held += this.#rest.length;
    for (const line of lines) {
      if (line === '') {
        if (this.#data.length > 0)
          found.push({
            event: this.#event || 'message',
            id: this.#id,
            data: this.#data.join('\n'),
          });
        this.#event = '';
        this.#data = [];
        this.#held = this.#rest.length;
      } else this.#take(line);
    }
    if (this.#held > MAX_LETTERS) throw new RangeError('an event is incomplete');
    return found;
  }

  #take(line: string): void {
    const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (name === 'event') this.#event = value;
    else if (name === 'id' && !value.includes('\0')) this.#id = value;
    else if (name === 'data') {
      this.#data.push(value);
      this.#held += value.length;
    }
  }
}
