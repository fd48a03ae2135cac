import { ELEMENT } from './format.ts';

const PATTERN_BYTES = 5;
/** Below this, setting the search up costs more than it saves. */
const WORTH_BYTES = 256;

const BEGINS = new Uint8Array(256);
for (const type of ['SECTION_START', 'SECTION_PART', 'SECTION_END', 'FOOTER'] as const) {
  BEGINS[ELEMENT[type]] = 1;
}

/** The next byte of [from, end) that an element or a footer can begin with, or `end`. */
function byByte(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && BEGINS[bytes[at] as number] === 0) at += 1;
  return at;
}

/**
 * The places in [.., end) of a chunk that are worth a closer look. All of a device's state goes through here, which
 * is long for VFIO: where the ids that matter are known, what follows a type byte is searched for by native code.
 */
export class Beginnings {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #searched: Buffer;
  readonly #patterns: readonly Buffer[];
  readonly #next: number[];

  /** `footer` and `ram`: the sections whose footer and whose parts count; undefined when others may as well. */
  constructor(
    bytes: Uint8Array,
    window: { readonly at: number; readonly end: number },
    footer: number | undefined,
    ram: number | undefined,
  ) {
    this.#bytes = bytes;
    this.#end = window.end;
    const known = footer !== undefined && ram !== undefined;
    const native = known && window.end - window.at >= WORTH_BYTES;
    this.#searched = Buffer.from(bytes.buffer, bytes.byteOffset, native ? window.end : 0);
    this.#patterns = native
      ? [
          pattern(ELEMENT.FOOTER, footer),
          pattern(ELEMENT.SECTION_PART, ram),
          pattern(ELEMENT.SECTION_END, ram),
        ]
      : [];
    this.#next = this.#patterns.map(() => -1);
  }

  /** The first such place from `from` on, or the window's end. */
  next(from: number): number {
    if (this.#patterns.length === 0) return byByte(this.#bytes, from, this.#end);
    let nearest = this.#end;
    for (const [index, wanted] of this.#patterns.entries()) {
      let place = this.#next[index] ?? 0;
      if (place < from) {
        const found = this.#searched.indexOf(wanted, from);
        place = found < 0 ? this.#end : found;
        this.#next[index] = place;
      }
      nearest = Math.min(nearest, place);
    }
    if (nearest < this.#end) return nearest;
    // One that the window cuts is not found whole.
    return byByte(this.#bytes, Math.max(from, this.#end - PATTERN_BYTES + 1), this.#end);
  }
}

function pattern(type: number, id: number): Buffer {
  const bytes = Buffer.alloc(PATTERN_BYTES, type);
  bytes.writeUInt32BE(id, 1);
  return bytes;
}
