import { ELEMENT } from './format.ts';

const PATTERN_BYTES = 5;
/** Below this, the search's setup costs more than it saves. */
const WORTH_BYTES = 256;
/** Searched at a time: a chunk may contain hundreds of small sections, each searched from its start. */
const PIECE_BYTES = 4096;
const NOTHING = Buffer.alloc(0);

const BEGINS = new Uint8Array(256);
for (const type of ['SECTION_START', 'SECTION_PART', 'SECTION_END', 'FOOTER'] as const) {
  BEGINS[ELEMENT[type]] = 1;
}

/** Next byte of [from, end) that can start an element or a footer, or `end`. */
function byByte(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && BEGINS[bytes[at] as number] === 0) at += 1;
  return at;
}

/**
 * Candidate places in [.., end) of a chunk. All device state passes here, which is long for VFIO. If the
 * relevant ids are known, native code searches for the bytes after a type byte.
 */
export class Beginnings {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #patterns: readonly Buffer[];
  /** Searched piece of the chunk, and each pattern's next place in it. */
  #pieceAt = 0;
  #piece: Buffer = NOTHING;
  #next: number[] = [];

  /** `footer` and `ram`: sections whose footer and parts count; undefined if others may, too. */
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
    this.#patterns = native
      ? [
          pattern(ELEMENT.FOOTER, footer),
          pattern(ELEMENT.SECTION_PART, ram),
          pattern(ELEMENT.SECTION_END, ram),
        ]
      : [];
  }

  /** First candidate from `from` on, or the window's end. */
  next(from: number): number {
    if (this.#patterns.length === 0) return byByte(this.#bytes, from, this.#end);
    let at = from;
    while (this.#end - at >= PATTERN_BYTES) {
      const pieceEnd = this.#pieceAt + this.#piece.length;
      // A pattern cut by the piece's end is complete in the next piece.
      if (pieceEnd - at < PATTERN_BYTES) this.#take(at);
      const place = this.#nearest(at - this.#pieceAt);
      if (place < this.#piece.length) return this.#pieceAt + place;
      at = this.#pieceAt + this.#piece.length - PATTERN_BYTES + 1;
    }
    // A pattern cut by the window's end is not found completely.
    return byByte(this.#bytes, at, this.#end);
  }

  #take(at: number): void {
    const length = Math.min(PIECE_BYTES, this.#end - at);
    this.#pieceAt = at;
    this.#piece = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + at, length);
    this.#next = this.#patterns.map(() => -1);
  }

  #nearest(from: number): number {
    let nearest = this.#piece.length;
    for (const [index, wanted] of this.#patterns.entries()) {
      let place = this.#next[index] ?? 0;
      if (place < from) {
        const found = this.#piece.indexOf(wanted, from);
        place = found < 0 ? this.#piece.length : found;
        this.#next[index] = place;
      }
      nearest = Math.min(nearest, place);
    }
    return nearest;
  }
}

function pattern(type: number, id: number): Buffer {
  const bytes = Buffer.alloc(PATTERN_BYTES, type);
  bytes.writeUInt32BE(id, 1);
  return bytes;
}
