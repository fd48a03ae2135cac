/** How far a connection is. */
export interface Standing {
  /** Bytes since its beginning. */
  readonly sent: number;
  /** Of `sent`, with the other host's hypervisor. */
  readonly taken: number;
  /** Something was sent after the last that came back. */
  readonly asked: boolean;
}

/**
 * Reports when a connection's other host has not answered for too long: what was sent is not taken, or all of it is and
 * nothing has come back since. Looked at from time to time; the limit is kept but for the time between two looks.
 */
export class AnswerTimeout {
  /** Bytes that had been sent at each look and are not acknowledged; one entry for each look within the limit. */
  #marks: { readonly atMs: number; readonly sent: number }[] = [];
  #sent = 0;
  #taken = 0;
  /** Since when everything is taken and an answer is missing. */
  #askedAtMs: number | undefined;

  isOver({ sent, taken, asked }: Standing, nowMs: number, withinMs: number): boolean {
    this.#marks = this.#marks.filter((mark) => mark.sent > taken);
    if (sent > this.#sent && sent > taken) this.#marks.push({ atMs: nowMs, sent });
    if (!asked || taken < sent) this.#askedAtMs = undefined;
    else if (taken > this.#taken) this.#askedAtMs = nowMs;
    else this.#askedAtMs ??= nowMs;
    this.#sent = sent;
    this.#taken = taken;
    const since = this.#marks[0]?.atMs ?? this.#askedAtMs;
    return since !== undefined && nowMs - since > withinMs;
  }
}
