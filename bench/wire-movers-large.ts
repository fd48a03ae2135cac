import { device, start } from './wire-movers-stream.ts';
import { text } from './wire-mixes.ts';
import { RAM_FLAG } from '../src/wire/stream/format.ts';

/**
 * The stream of a guest that is larger than what a benchmark may hold: made piece by piece, and again for what comes out.
 * A third of what it has touched is random, a third is text, and a third is text that was there already, so far back that
 * no window holds it; all else is zeros.
 */

const PAGE = 4096;
const BLOCK = Buffer.from('\x06pc.ram', 'latin1');
const RAM_ID = 2;
/** A section of the stream lasts QEMU's 50 ms. */
const SECTION_PAGES = 2048;
const DEVICES_BYTES = 160_000;
/** Pages of either kind that others are made of. */
const POOL_PAGES = 4096;
/** How far back text is repeated: beyond the codec's window, within a cache of the usual size. */
const REPEATED_PAGES = (512 * 1024 * 1024) / PAGE;
/** Where a page of text has its number: every 64 bytes, so that no two are alike. */
const MARK_EVERY = 64;

export interface LargeGuest {
  readonly memoryBytes: number;
  readonly touchedBytes: number;
}

export function* largeStream({ memoryBytes, touchedBytes }: LargeGuest): Generator<Buffer> {
  const pages = memoryBytes / PAGE;
  const touched = Math.floor(touchedBytes / PAGE);
  const contents = new Contents(Math.floor(touched / 3));
  yield start(memoryBytes);
  for (let first = 0; first < pages; first += SECTION_PAGES) {
    const count = Math.min(SECTION_PAGES, pages - first);
    yield section(first, count, (page) => (page < touched ? contents.at(page) : undefined));
  }
  yield device(7, Buffer.alloc(DEVICES_BYTES, 'state of a device'));
  yield Buffer.from([0]);
}

/** `contentOf`: undefined for zeros. */
function section(
  first: number,
  count: number,
  contentOf: (page: number) => Buffer | undefined,
): Buffer {
  const bytes = Buffer.alloc(count * (PAGE + 8) + 64);
  let at = bytes.writeUInt8(2);
  at = bytes.writeUInt32BE(RAM_ID, at);
  for (let page = first; page < first + count; page += 1) {
    const content = contentOf(page);
    const kind = content === undefined ? RAM_FLAG.ZERO : RAM_FLAG.PAGE;
    const flags = kind + (page === first ? 0 : RAM_FLAG.CONTINUE);
    at = bytes.writeBigUInt64BE(BigInt(page * PAGE + flags), at);
    if (page === first) at += BLOCK.copy(bytes, at);
    if (content === undefined) at = bytes.writeUInt8(0, at);
    else at += content.copy(bytes, at);
  }
  at = bytes.writeBigUInt64BE(BigInt(RAM_FLAG.EOS), at);
  at = bytes.writeUInt8(0x7e, at);
  at = bytes.writeUInt32BE(RAM_ID, at);
  return bytes.subarray(0, at);
}

/** What each page holds that the guest has touched; the buffer is good until the next call. */
class Contents {
  readonly #third: number;
  readonly #random = randomWords(POOL_PAGES * PAGE);
  readonly #text = text(POOL_PAGES * PAGE);
  readonly #page = Buffer.alloc(PAGE);
  readonly #words = new Uint32Array(this.#page.buffer, this.#page.byteOffset, PAGE / 4);

  /** `third`: pages of each kind. */
  constructor(third: number) {
    this.#third = third;
  }

  at(page: number): Buffer {
    if (page < this.#third) return this.#randomPage(page);
    return this.#textPage((page - this.#third) % REPEATED_PAGES);
  }

  #randomPage(page: number): Buffer {
    const from = (page % POOL_PAGES) * (PAGE / 4);
    const mask = Math.imul(Math.floor(page / POOL_PAGES) + 1, 0x9e3779b1);
    for (let word = 0; word < PAGE / 4; word += 1) {
      this.#words[word] = (this.#random[from + word] ?? 0) ^ mask;
    }
    return this.#page;
  }

  #textPage(page: number): Buffer {
    const from = (page % POOL_PAGES) * PAGE;
    this.#text.copy(this.#page, 0, from, from + PAGE);
    const mark = Buffer.from(page.toString(36).padStart(5, '0'), 'latin1');
    for (let at = 0; at < PAGE; at += MARK_EVERY) mark.copy(this.#page, at);
    return this.#page;
  }
}

/** The same each time: what comes out is made again to be compared. */
function randomWords(bytes: number): Uint32Array {
  const words = new Uint32Array(bytes / 4);
  let state = 0x2545f491;
  for (let at = 0; at < words.length; at += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  return words;
}
