import { MAX_BLOCKS, PAGE_BYTES, type Item } from '../codec/item.ts';
import { recordHeader } from '../stream/records.ts';
import type { RamRecord } from '../stream/types.ts';
import { FORM, FormGuess, TOKEN } from './tokens.ts';

/** Items that no source's relay makes. */
export class BadItems extends Error {
  override readonly name = 'BadItems';
}

const ZERO = Buffer.alloc(PAGE_BYTES);
/** Longest token except raw bytes: a block's name. */
const MAX_TOKEN = 4 + 255;

/** Restores a connection's bytes from StreamItems' items. */
export class Rebuild {
  readonly #names = new Map<number, string>();
  readonly #guess = new FormGuess();
  readonly #token = Buffer.alloc(MAX_TOKEN);
  #tokenBytes = 0;
  #rawLeft = 0;
  #form: number | undefined;
  #ended = false;

  /** The hypervisor has ended its side; nothing follows. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Passes on the hypervisor's bytes of the item, valid during the call. Throws BadItems. */
  take(item: Item, put: (bytes: Uint8Array) => void): void {
    if (this.#ended && item.bytes.length > 0) throw new BadItems('something follows the end');
    if (item.kind === 'bytes') return this.#bytes(item.bytes, put);
    if (this.#tokenBytes > 0 || this.#rawLeft > 0) throw new BadItems('a page within a token');
    const name = this.#names.get(item.block);
    if (name === undefined) throw new BadItems(`a page of block ${item.block}, which has no name`);
    const isZero = item.bytes[0] === 0 && ZERO.equals(item.bytes);
    const expected = this.#guess.next(item.block, isZero);
    const form = this.#form ?? expected;
    this.#form = undefined;
    if ((form & FORM.zero) !== 0 && !isZero) throw new BadItems('zeros that are none');
    const record: RamRecord = {
      block: { index: item.block, name, usedBytes: 0 },
      address: item.offset,
      header: (form & FORM.named) === 0 ? 'continued' : 'named',
    };
    const zero = (form & FORM.zero) !== 0;
    put(recordHeader(zero ? 'zero' : 'page', record));
    put(zero ? ZERO.subarray(0, 1) : item.bytes);
  }

  #bytes(bytes: Uint8Array, put: (bytes: Uint8Array) => void): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#rawLeft > 0) {
        const piece = bytes.subarray(at, at + this.#rawLeft);
        put(piece);
        this.#rawLeft -= piece.length;
        at += piece.length;
      } else {
        if (this.#ended) throw new BadItems('something follows the end');
        this.#token[this.#tokenBytes] = bytes[at] ?? 0;
        this.#tokenBytes += 1;
        at += 1;
        this.#readToken();
      }
    }
  }

  #readToken(): void {
    const token = this.#token.subarray(0, this.#tokenBytes);
    const [kind] = token;
    const nameBytes = token[3] ?? 0;
    switch (kind) {
      case TOKEN.raw:
        if (token.length < 5) return;
        this.#rawLeft = token.readUInt32BE(1);
        break;
      case TOKEN.form:
        if (token.length < 2) return;
        this.#setForm(token[1] ?? 0);
        break;
      case TOKEN.block:
        if (token.length < 4 || token.length < 4 + nameBytes) return;
        this.#setName(token.readUInt16BE(1), token.toString('latin1', 4));
        break;
      case TOKEN.end:
        this.#ended = true;
        break;
      default:
        throw new BadItems(`token ${kind ?? -1} is unknown`);
    }
    this.#tokenBytes = 0;
  }

  #setName(block: number, name: string): void {
    if (block >= MAX_BLOCKS) throw new BadItems(`block ${block} is above the limit`);
    this.#names.set(block, name);
  }

  #setForm(form: number): void {
    if (form > (FORM.named | FORM.zero)) throw new BadItems(`form ${form} is unknown`);
    this.#form = form;
  }
}
