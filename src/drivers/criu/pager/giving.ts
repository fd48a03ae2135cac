import { PAGE } from '../pages/memory.ts';
import type { AddressSpace, Span } from './address-space.ts';
import * as kernel from './kernel.ts';
import type { Pages } from './pages.ts';

const { EAGAIN, EEXIST, ENOENT, ENOMEM, ESRCH, ENOSPC } = kernel.ERRNO;
const AT_ONCE = 256;
/** Pause before a retry of pages that the kernel refused during an event, ms. */
const BEHIND_MS = 5;
/** Pause before a retry after a lack of memory, ms. */
const ROOM_MS = 1000;

interface Waiting {
  readonly fd: number;
  readonly address: number;
}

export interface Giver {
  readonly spaces: ReadonlyMap<number, AddressSpace>;
  readonly mayGive: boolean;
  wants(file: number, page: number): void;
  over(fd: number): void;
}

/** Gives pages to processes: requested ones, and unrequested ones that have arrived. */
export class Giving {
  readonly #pages: Pages;
  readonly #giver: Giver;
  /** Each waiting page once, however often a signal repeats its fault. */
  #waiting = new Map<string, Waiting>();
  readonly #wanted = new Map<string, readonly [file: number, page: number]>();
  #behindMs: number | undefined;

  constructor(pages: Pages, giver: Giver) {
    this.#pages = pages;
    this.#giver = giver;
  }

  get wanted(): Iterable<readonly [file: number, page: number]> {
    return this.#wanted.values();
  }

  /** Pause before the next retry (`spread`); undefined if nothing is left to retry. */
  get behindMs(): number | undefined {
    return this.#behindMs;
  }

  #isBehind(withinMs: number): void {
    this.#behindMs = Math.min(this.#behindMs ?? withinMs, withinMs);
  }

  #wait(fd: number, address: number): void {
    this.#waiting.set(`${fd}:${address}`, { fd, address });
  }

  forget(fd: number): void {
    for (const [key, waiting] of this.#waiting) if (waiting.fd === fd) this.#waiting.delete(key);
  }

  fault(fd: number, address: number): void {
    const source = this.#giver.spaces.get(fd)?.find(address);
    if (source === undefined) {
      const errno = kernel.giveZeros(fd, address, PAGE);
      if (errno === EEXIST) kernel.wake(fd, address, PAGE);
      if (errno !== EAGAIN && errno !== ENOMEM) return;
      this.#wait(fd, address);
      this.#isBehind(errno === EAGAIN ? BEHIND_MS : ROOM_MS);
      return;
    }
    const { file, page } = source;
    if (this.#pages.isThere(file, page)) {
      this.#give(fd, { from: address, pages: 1, file, at: page });
      if (this.#giver.spaces.get(fd)?.find(address) !== undefined) this.#wait(fd, address);
      return;
    }
    this.#wait(fd, address);
    const key = `${file}:${page}`;
    if (this.#wanted.has(key)) return;
    this.#wanted.set(key, [file, page]);
    this.#giver.wants(file, page);
  }

  came(file: number, first: number, count: number): void {
    this.#pages.came(file, first, count);
    for (let page = first; page < first + count; page += 1) this.#wanted.delete(`${file}:${page}`);
    this.#answer();
    // Pages are given only on request until CRIU's restore was checked.
    if (!this.#giver.mayGive) return;
    for (const [fd, space] of this.#giver.spaces) {
      for (const span of space.spans) {
        const from = Math.max(first, span.at);
        const to = Math.min(first + count, span.at + span.pages);
        if (span.file !== file || from >= to) continue;
        const address = span.from + (from - span.at) * PAGE;
        this.#give(fd, { from: address, pages: to - from, file, at: from });
      }
    }
  }

  /** Gives all arrived pages to processes that lack them. */
  spread(): void {
    this.#behindMs = undefined;
    this.#answer();
    if (!this.#giver.mayGive) return;
    for (const [fd, space] of this.#giver.spaces) {
      for (const span of space.spans) {
        for (let index = 0; index < span.pages;) {
          const at = span.at + index;
          const count = this.#pages.thereFrom(span.file, at, span.pages - index);
          const from = span.from + index * PAGE;
          if (count > 0) this.#give(fd, { from, pages: count, file: span.file, at });
          index += count + 1;
        }
      }
    }
  }

  #answer(): void {
    const waiting = this.#waiting;
    this.#waiting = new Map();
    for (const { fd, address } of waiting.values()) this.fault(fd, address);
  }

  #give(fd: number, { from, pages, file, at }: Span): void {
    const space = this.#giver.spaces.get(fd);
    if (space === undefined) return;
    let most = AT_ONCE;
    for (let index = 0; index < pages;) {
      const address = from + index * PAGE;
      const count = Math.min(most, pages - index);
      const bytes = count * PAGE;
      const source = this.#pages.addressOf(file, at + index);
      const given = kernel.givePages(fd, address, source, bytes);
      index += given.bytes / PAGE;
      space.drop(address, address + given.bytes);
      // The kernel copies only into one mapping at a time; across two it reports the same error as for unmapped
      // pages.
      most = given.errno === ENOENT && count > 1 ? count >> 1 : AT_ONCE;
      if (given.bytes > 0 || given.errno === 0 || most < count) continue;
      if (!this.#isPassed(fd, given.errno)) return;
      kernel.wake(fd, address, PAGE);
      space.drop(address, address + PAGE);
      index += 1;
    }
  }

  /** True if a page that the kernel refused is no longer needed. */
  #isPassed(fd: number, errno: number): boolean {
    if (errno === EEXIST || (errno === ENOENT && this.#giver.mayGive)) return true;
    // An event must be read first.
    if (errno === EAGAIN) this.#isBehind(BEHIND_MS);
    else if (errno === ESRCH || errno === ENOSPC) this.#giver.over(fd);
    else if (errno !== ENOENT) this.#isBehind(ROOM_MS);
    return false;
  }
}
