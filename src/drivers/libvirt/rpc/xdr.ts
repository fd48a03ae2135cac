/**
 * XDR (RFC 4506) as libvirt uses it: big-endian, every item filled up to four bytes. Pure. A reader never reads past its
 * bytes, and takes no length that its caller has not bounded.
 */

/** Bytes that are not what they should be. */
export class XdrError extends Error {
  override readonly name = 'XdrError';
}

const UUID_BYTES = 16;

export class XdrWriter {
  readonly #parts: Buffer[] = [];

  int(value: number): this {
    const part = Buffer.alloc(4);
    part.writeInt32BE(value);
    return this.#add(part);
  }

  unsigned(value: number): this {
    const part = Buffer.alloc(4);
    part.writeUInt32BE(value);
    return this.#add(part);
  }

  unsignedHyper(value: bigint): this {
    const part = Buffer.alloc(8);
    part.writeBigUInt64BE(value);
    return this.#add(part);
  }

  /** 16 bytes, from 32 hexadecimal digits with or without hyphens. */
  uuid(text: string): this {
    const part = Buffer.from(text.replaceAll('-', ''), 'hex');
    if (part.length !== UUID_BYTES) throw new XdrError(`${text} is no UUID`);
    return this.#add(part);
  }

  string(text: string): this {
    return this.opaque(Buffer.from(text, 'utf8'));
  }

  opaque(bytes: Buffer): this {
    this.unsigned(bytes.length);
    return this.#add(bytes).#fill(bytes.length);
  }

  /** Absent or there: libvirt's `remote_string`. */
  optionalString(text: string | undefined): this {
    return text === undefined ? this.int(0) : this.int(1).string(text);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #fill(length: number): this {
    return this.#add(Buffer.alloc((4 - (length % 4)) % 4));
  }

  #add(part: Buffer): this {
    this.#parts.push(part);
    return this;
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

  int(): number {
    return this.#take(4).readInt32BE();
  }

  unsigned(): number {
    return this.#take(4).readUInt32BE();
  }

  hyper(): bigint {
    return this.#take(8).readBigInt64BE();
  }

  unsignedHyper(): bigint {
    return this.#take(8).readBigUInt64BE();
  }

  double(): number {
    return this.#take(8).readDoubleBE();
  }

  /** With hyphens. */
  uuid(): string {
    const hex = this.#take(UUID_BYTES).toString('hex');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }

  /** At most `most` bytes of UTF-8; what is none becomes a replacement character. */
  string(most: number): string {
    const length = this.unsigned();
    if (length > most) throw new XdrError(`a text of ${length} bytes, where ${most} are allowed`);
    const text = this.#take(length).toString('utf8');
    this.#take((4 - (length % 4)) % 4);
    return text;
  }

  optionalString(most: number): string | undefined {
    return this.isThere() ? this.string(most) : undefined;
  }

  isThere(): boolean {
    const there = this.unsigned();
    if (there > 1) throw new XdrError(`${there}, where 0 or 1 is meant`);
    return there === 1;
  }

  list<T>(most: number, read: () => T): T[] {
    const length = this.unsigned();
    if (length > most) throw new XdrError(`a list of ${length}, where ${most} are allowed`);
    return Array.from({ length }, read);
  }

  #take(length: number): Buffer {
    if (length > this.left) throw new XdrError(`it ends ${length - this.left} bytes too early`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
