/** Invalid frame. The stream cannot continue; `frame` is its number. */
export class BadFrame extends Error {
  override readonly name = 'BadFrame';
  readonly frame: number | undefined;

  constructor(what: string, frame?: number) {
    super(frame === undefined ? what : `frame ${frame}: ${what}`);
    this.frame = frame;
  }

  static in(frame: number, error: unknown): unknown {
    if (!(error instanceof BadFrame) || error.frame !== undefined) return error;
    return new BadFrame(error.message, frame);
  }
}

export class Writer {
  readonly #bytes: Buffer;
  #length = 0;

  constructor(capacity: number) {
    this.#bytes = Buffer.alloc(capacity);
  }

  get length(): number {
    return this.#length;
  }

  get room(): number {
    return this.#bytes.length - this.#length;
  }

  u8(value: number): void {
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  /** Integer below 2^53, 7 bits per byte, low bits first. */
  number(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.u8((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.u8(rest);
  }

  bytes(value: Uint8Array): void {
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** Reserves a u16 that `patch` sets later. */
  reserve(): number {
    this.#length += 2;
    return this.#length - 2;
  }

  patch(at: number, value: number): void {
    this.#bytes.writeUInt16BE(value, at);
  }

  clear(): void {
    this.#length = 0;
  }

  /** Written bytes; a view that the next write after `clear` changes. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** Reads a Writer's format from untrusted bytes. */
export class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    const value = this.#bytes[this.#at];
    if (value === undefined) throw new BadFrame('it ends inside a record');
    this.#at += 1;
    return value;
  }

  u16(): number {
    return this.u8() * 256 + this.u8();
  }

  number(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 8; count += 1) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) throw new BadFrame('a number is above 2^53');
        return value;
      }
      scale *= 0x80;
    }
    throw new BadFrame('a number has more than 8 bytes');
  }

  bytes(length: number): Buffer {
    if (length > this.left) throw new BadFrame('it ends inside a record');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
