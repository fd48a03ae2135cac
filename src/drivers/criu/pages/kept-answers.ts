import type { Duplex } from 'node:stream';
import { DIGEST_BYTES, encodeFrame, GROUP, KINDS, MAX_ASKED, write } from '../link/frames.ts';
import type { KeptPages } from './kept-pages.ts';
import { PAGE } from './memory.ts';
import { bitsOf, groupsOf } from './page-groups.ts';

export type PageLookup = Pick<KeptPages, 'size' | 'find' | 'group'>;

interface Dependencies {
  readonly kept: () => PageLookup | undefined;
  readonly next: (count: number) => number[];
  readonly write: (pages: Buffer, first: number) => Promise<void>;
}

export class KeptAnswers {
  readonly #deps: Dependencies;
  /** Requested pages that it lacks; they follow next. */
  lacking: number[] = [];
  /** Pages of groups that it lacks; they are asked for next. */
  unasked: number[] = [];
  #pagesRead: Buffer | undefined;

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  get isOpen(): boolean {
    return this.lacking.length > 0 || this.unasked.length > 0;
  }

  /** Answers which pages are kept, and numbers all pages that a group question has not numbered. */
  async pages(digests: Buffer, stream: Duplex): Promise<void> {
    const count = digests.length / DIGEST_BYTES;
    const isFirst = this.unasked.length === 0;
    const isOurs = isFirst ? count <= MAX_ASKED : count === this.unasked.length;
    if (!Number.isInteger(count) || !isOurs || this.lacking.length > 0)
      throw new Error(`${digests.length} bytes of digests`);
    const numbers = isFirst ? this.#deps.next(count) : this.unasked;
    this.unasked = [];
    const found = await this.#find(digests);
    this.lacking.push(...numbers.filter((_, index) => found[index] === 0));
    // Answered first, so that the source examines the next pages during the write.
    await write(stream, encodeFrame(KINDS.have, bitsOf(found)));
    await this.#writeFound(found, numbers);
  }

  /** Answers which groups are kept completely; pages of the others are asked for next. */
  async groups(body: Buffer, stream: Duplex): Promise<void> {
    if (this.isOpen) throw new Error('two questions');
    const groups = groupsOf(body);
    const digests = groups.map(
      (each) => this.#deps.kept()?.group(each) ?? Buffer.alloc(each.pages * DIGEST_BYTES),
    );
    const found = await this.#find(Buffer.concat(digests));
    const isWhole = groups.map(({ pages }, group) =>
      found.subarray(group * GROUP, group * GROUP + pages).every((each) => each === 1),
    );
    const numbers = this.#deps.next(found.length);
    for (let index = 0; index < found.length; index += 1)
      if (isWhole[Math.floor(index / GROUP)] !== true) found[index] = 0;
    this.unasked = numbers.filter((_, index) => found[index] === 0);
    const bits = bitsOf(Uint8Array.from(isWhole.map(Number)));
    await write(stream, encodeFrame(KINDS.haveGroups, bits));
    await this.#writeFound(found, numbers);
  }

  async #find(digests: Buffer): Promise<Uint8Array> {
    this.#pagesRead ??= Buffer.allocUnsafe(MAX_ASKED * PAGE);
    const found = await this.#deps.kept()?.find(digests, this.#pagesRead);
    return found ?? new Uint8Array(digests.length / DIGEST_BYTES);
  }

  async #writeFound(found: Uint8Array, numbers: readonly number[]): Promise<void> {
    for (let from = found.indexOf(1); from !== -1;) {
      let to = from + 1;
      while (found[to] === 1 && numbers[to] === (numbers[from] ?? 0) + to - from) to += 1;
      const pages = this.#pagesRead?.subarray(from * PAGE, to * PAGE);
      if (pages !== undefined) await this.#deps.write(pages, numbers[from] ?? 0);
      from = found.indexOf(1, to);
    }
  }
}
