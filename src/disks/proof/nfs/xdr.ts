/** XDR (RFC 4506), as far as the calls need it. What is read comes from outside: every length has its bound. Pure. */

export class XdrWriter {
  readonly #parts: Buffer[] = [];

  uint32(...values: readonly number[]): this {
    for (const value of values) {
      const part = Buffer.alloc(4);
      part.writeUInt32BE(value);
      this.#parts.push(part);
    }
    return this;
  }

  uint64(value: number): this {
    const part = Buffer.alloc(8);
    part.writeBigUInt64BE(BigInt(value));
    this.#parts.push(part);
    return this;
  }

  opaque(value: Uint8Array): this {
    this.uint32(value.length);
    this.#parts.push(Buffer.from(value), Buffer.alloc(paddingOf(value.length)));
    return this;
  }

  string(value: string): this {
    return this.opaque(Buffer.from(value));
  }

  /** What another has written. */
  raw(value: Uint8Array): this {
    this.#parts.push(Buffer.from(value));
    return this;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

export class XdrReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  uint32(): number {
    return this.take(4).readUInt32BE();
  }

  /** Sizes and offsets; what no number holds is as wrong as a length out of bounds. */
  uint64(): number {
    const value = this.take(8).readBigUInt64BE();
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw new Error('it answers with a size out of bounds');
    return Number(value);
  }

  bool(): boolean {
    const value = this.uint32();
    if (value > 1) throw new Error('it answers with what is neither true nor false');
    return value === 1;
  }

  opaque(most: number): Buffer {
    const length = this.uint32();
    if (length > most) throw new Error(`it answers with ${length} bytes where ${most} may be`);
    const value = Buffer.from(this.take(length));
    this.take(paddingOf(length));
    return value;
  }

  take(length: number): Buffer {
    if (length > this.left) throw new Error('its answer ends early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

function paddingOf(length: number): number {
  return (4 - (length % 4)) % 4;
}
