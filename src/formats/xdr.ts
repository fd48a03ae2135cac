/**
 * XDR (RFC 4506), the part that NFS and libvirt need. Input is untrusted: every length is bounded, and nothing is read
 * past the end. Pure.
 */

export class XdrError extends Error {
  override readonly name = 'XdrError';
}

const UUID_BYTES = 16;

export class XdrWriter {
  readonly #parts: Buffer[] = [];

  int32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeInt32BE(value);
    this.#parts.push(part);
    return this;
  }

  uint32(...values: readonly number[]): this {
    for (const value of values) {
      const part = Buffer.alloc(4);
      part.writeUInt32BE(value);
      this.#parts.push(part);
    }
    return this;
  }

  uint64(value: number | bigint): this {
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

  optionalString(value: string | undefined): this {
    return value === undefined ? this.uint32(0) : this.uint32(1).string(value);
  }

  /** 16 bytes, from 32 hexadecimal digits with or without hyphens. */
  uuid(text: string): this {
    const part = Buffer.from(text.replaceAll('-', ''), 'hex');
    if (part.length !== UUID_BYTES) throw new XdrError(`${text} is no UUID`);
    return this.raw(part);
  }

  raw(value: Uint8Array): this {
    this.#parts.push(Buffer.from(value));
    return this;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** Methods throw XdrError for missing or invalid input. */
export class XdrReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  int32(): number {
    return this.take(4).readInt32BE();
  }

  uint32(): number {
    return this.take(4).readUInt32BE();
  }

  int64(): bigint {
    return this.take(8).readBigInt64BE();
  }

  /** Counters of any size. */
  bigUint64(): bigint {
    return this.take(8).readBigUInt64BE();
  }

  /** Sizes and offsets; values beyond safe integers are invalid. */
  uint64(): number {
    const value = this.bigUint64();
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw new XdrError('it answers with a size out of bounds');
    return Number(value);
  }

  double(): number {
    return this.take(8).readDoubleBE();
  }

  bool(): boolean {
    const value = this.uint32();
    if (value > 1) throw new XdrError('it answers with what is neither true nor false');
    return value === 1;
  }

  opaque(most: number): Buffer {
    const length = this.uint32();
    if (length > most) throw new XdrError(`it answers with ${length} bytes where ${most} may be`);
    const value = Buffer.from(this.take(length));
    this.take(paddingOf(length));
    return value;
  }

  /** Invalid UTF-8 becomes a replacement character. */
  string(mostBytes: number): string {
    return this.opaque(mostBytes).toString('utf8');
  }

  optionalString(mostBytes: number): string | undefined {
    return this.bool() ? this.string(mostBytes) : undefined;
  }

  uuid(): string {
    const hex = this.take(UUID_BYTES).toString('hex');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }

  list<T>(most: number, read: () => T): T[] {
    const length = this.uint32();
    if (length > most) throw new XdrError(`it answers with ${length} items where ${most} may be`);
    return Array.from({ length }, read);
  }

  take(length: number): Buffer {
    if (length > this.left) throw new XdrError('its answer ends early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

function paddingOf(length: number): number {
  return (4 - (length % 4)) % 4;
}
