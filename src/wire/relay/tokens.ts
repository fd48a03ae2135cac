/**
 * Data between pages: the codec's opaque bytes, joined over all items, are a sequence of tokens. Each is
 * complete before the next page, and describes that page or the hypervisor's bytes between two pages.
 *
 * | token | then | meaning |
 * | raw | u32 length, bytes | the hypervisor's bytes unchanged |
 * | form | u8 | form of the next page's record, if it is not the expected one |
 * | block | u16 number, u8 length, name | a block's name, before its first page |
 * | end | nothing | the hypervisor has ended its side of the connection |
 */
export const TOKEN = { raw: 0, form: 1, block: 2, end: 3 } as const;

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
 * Expected form of a page's record, from data that both sides have: with the block's name unless the previous
 * page was in the same block, and as a zero page exactly if it is one.
 */
export class FormGuess {
  #block = -1;

  /** Form of a page of this block; `next` advances to it. */
  next(block: number, zero: boolean): number {
    const named = block === this.#block ? 0 : FORM.named;
    this.#block = block;
    return named | (zero ? FORM.zero : 0);
  }
}
