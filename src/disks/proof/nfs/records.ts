/** Sun RPC over a stream (RFC 5531, 11): messages in fragments with a length and a last flag. Pure. */

/** Larger than any answer to these calls: file names and 129 bytes of data. */
export const MAX_RECORD_BYTES = 16 * 1024;
const MAX_FRAGMENTS = 64;
const LAST = 0x8000_0000;

export function recordOf(message: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE((LAST | message.length) >>> 0);
  return Buffer.concat([head, message]);
}

/** Reassembles messages from any split of the stream. Throws if a message exceeds the limit, and is unusable then. */
export class RecordReader {
  #pending = Buffer.alloc(0);
  #fragments: Buffer[] = [];

  push(chunk: Uint8Array): Buffer[] {
    const messages: Buffer[] = [];
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= 4) {
      const head = this.#pending.readUInt32BE();
      const length = head & ~LAST;
      const held = this.#fragments.reduce((sum, each) => sum + each.length, 0);
      if (held + length > MAX_RECORD_BYTES || this.#fragments.length >= MAX_FRAGMENTS) {
        throw new Error('its answer is too long');
      }
      if (this.#pending.length < 4 + length) break;
      this.#fragments.push(this.#pending.subarray(4, 4 + length));
      this.#pending = Buffer.from(this.#pending.subarray(4 + length));
      if (head < LAST) continue;
      messages.push(Buffer.concat(this.#fragments));
      this.#fragments = [];
    }
    return messages;
  }
}
