import { godwitError } from '../../../errors.ts';
import { formatBytes } from '../../../protocol/quantity.ts';

/** Longest accepted message; QEMU's largest (its schema) is below 1 MiB. */
const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;

/**
 * Splits a byte stream into lines, keeping at most `limit` bytes of an unfinished one. Throws GODWIT_TOO_LARGE
 * for a longer line.
 */
export class LineSplitter {
  #parts: Buffer[] = [];
  #held = 0;
  readonly #limit: number;

  constructor(limit = MAX_MESSAGE_BYTES) {
    this.#limit = limit;
  }

  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(0x0a, from);
      const piece = chunk.subarray(from, end === -1 ? chunk.length : end);
      if (this.#held + piece.length > this.#limit) {
        throw godwitError('GODWIT_TOO_LARGE', {
          what: 'a monitor message',
          limit: formatBytes(this.#limit),
        });
      }
      if (piece.length > 0) this.#parts.push(piece);
      this.#held += piece.length;
      if (end === -1) return lines;
      const line = Buffer.concat(this.#parts).toString('utf8').trim();
      if (line !== '') lines.push(line);
      this.#parts = [];
      this.#held = 0;
      from = end + 1;
    }
  }
}
