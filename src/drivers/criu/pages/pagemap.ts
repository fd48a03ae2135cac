import { PAGE } from './memory.ts';
import type { Span } from '../pager/address-space.ts';

/** Parses CRIU's `pagemap-N.img`, the page locations of a process. Pure. */

const IMAGE = 0x5456_4319;
const PAGEMAP = 0x5608_4025;
const MAX_ENTRIES = 16_777_216;

const IN_PARENT = 1;
const LAZY = 2;
const PRESENT = 4;

export interface Pagemap {
  readonly file: number;
  /** Pages that may follow while the process runs. */
  readonly lazy: readonly Span[];
}

export function readPagemap(image: Buffer): Pagemap {
  const isOne = image.readUInt32LE(0) === IMAGE && image.readUInt32LE(4) === PAGEMAP;
  if (!isOne) throw new Error('no image of where pages lie');
  let [offset, at, count] = [8, 0, 0];
  let file: number | undefined;
  const lazy: Span[] = [];
  while (offset < image.length) {
    const length = image.readUInt32LE(offset);
    const fields = fieldsOf(image.subarray(offset + 4, offset + 4 + length));
    offset += 4 + length;
    count += 1;
    if (offset > image.length || count > MAX_ENTRIES) throw new Error('an image that is not whole');
    if (file === undefined) {
      file = fields.get(1);
      if (file === undefined) throw new Error('an image without its pages');
      continue;
    }
    const [from, pages, flags] = [fields.get(1), fields.get(5) ?? fields.get(2), fields.get(4)];
    const isWhole = from !== undefined && pages !== undefined && flags !== undefined;
    if (!isWhole || from % PAGE !== 0 || (flags & IN_PARENT) !== 0 || fields.get(3) === 1)
      throw new Error('pages that lie in another image');
    if ((flags & PRESENT) === 0) continue;
    if ((flags & LAZY) !== 0) lazy.push({ from, pages, file, at });
    at += pages;
  }
  if (file === undefined) throw new Error('an image of nothing');
  return { file, lazy };
}

function fieldsOf(message: Buffer): Map<number, number> {
  const found = new Map<number, number>();
  let at = 0;
  const number = (): bigint => {
    let [value, shift] = [0n, 0n];
    for (;;) {
      const byte = message.readUInt8(at);
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
      shift += 7n;
      if (shift > 63n) throw new Error('a number that does not end');
    }
  };
  while (at < message.length) {
    const key = Number(number());
    if ((key & 7) === 0) found.set(key >> 3, Number(number()));
    else if ((key & 7) === 2) at += Number(number());
    else throw new Error('a field of an unknown kind');
  }
  return found;
}
