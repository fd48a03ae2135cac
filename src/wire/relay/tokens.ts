/**
 * What lies between the pages: the codec's opaque bytes, of all items together, are a row of tokens. Each is whole
 * before the page after it, and is about that page or about what the hypervisor gets between two pages.
 *
 * | token | then | what it says |
 * | raw | u32 length, bytes | the hypervisor's bytes as they are |
 * | form | u8 | how the next page's record is written, where it is not as expected |
 * | block | u16 number, u8 length, name | a block's name: before its first page |
 * | end | nothing | the hypervisor has ended its side of the connection |
 */
export const TOKEN = { raw: 0, form: 1, block: 2, end: 3 } as const;

/** Bits of a form. */
export const FORM = { named: 1, zero: 2 } as const;

export function rawHead(length: number): Buffer {
  const head = Buffer.allocUnsafe(5);
  head[0] = TOKEN.raw;
  head.writeUInt32BE(length, 1);
  return head;
}

export function formToken(form: number): Buffer {
  return Buffer.from([TOKEN.form, form]);
}

export function blockToken(index: number, name: string): Buffer {
  const bytes = Buffer.from(name, 'latin1');
  return Buffer.concat([
    Buffer.from([TOKEN.block, index >>> 8, index & 0xff, bytes.length]),
    bytes,
  ]);
}

export function endToken(): Buffer {
  return Buffer.from([TOKEN.end]);
}

/**
 * How a page's record is expected to be written, from what both sides know: with its block's name unless the page
 * before was of the same block, and as a page of zeros exactly where it is one.
 */
export class FormGuess {
  #block = -1;

  /** The form of a page of this block; `next` moves on to it. */
  next(block: number, zero: boolean): number {
    const named = block === this.#block ? 0 : FORM.named;
    this.#block = block;
    return named | (zero ? FORM.zero : 0);
  }
}
