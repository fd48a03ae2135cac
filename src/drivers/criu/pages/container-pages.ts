import { closeSync, openSync, readSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import type { Pages } from '../../../host/memory-sample/pages.ts';
import { ProcessPages } from '../../../host/memory-sample/process-pages.ts';
import { ENTRY_BYTES, PAGE, isDumped, regionsOf, type Region } from './memory.ts';
import { hasEnded } from '../host/processes.ts';

/** Two files per process are open during the look. */
export const MAX_PROCESSES = 256;
/** Limit of page map entries: 128 MiB of maps cover 64 GiB of addresses, with or without memory. */
const MAX_ENTRIES = 16 * 1024 ** 2;
/** Limit of contiguous runs, each about 130 bytes in this process. */
const MAX_RUNS = 256 * 1024;
const AT_ONCE = 8192;
/** Up to the highest user address. */
const ALL_ADDRESSES = { address: 0, bytes: 2 ** 47 };

export interface Run<T> {
  /** Number among all pages. */
  readonly first: number;
  readonly count: number;
  /** Number in its process. */
  readonly page: number;
  readonly of: T;
}

export function runWith<T>(runs: readonly Run<T>[], number: number): Run<T> | undefined {
  let [low, high] = [0, runs.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((runs[middle]?.first ?? 0) <= number) low = middle;
    else high = middle - 1;
  }
  const found = runs[low];
  return found !== undefined && number < found.first + found.count ? found : undefined;
}

export class TooLarge extends Error {}

/**
 * Pages that the first round of a migration would read: those in memory at creation. Later pages are not
 * included, and a disappearing page does not count as written.
 */
export class ContainerPages implements Pages {
  readonly #opened: ProcessPages[] = [];
  readonly #runs: Run<ProcessPages>[] = [];
  #entries = 0;
  count = 0;

  /** Adds those of `pids` that live. Throws TooLarge above its limits. */
  async add(pids: readonly number[], signal: AbortSignal): Promise<void> {
    if (pids.length > MAX_PROCESSES)
      throw new TooLarge(`it has ${pids.length} processes, and ${MAX_PROCESSES} are looked at`);
    for (const pid of pids) await this.#addProcess(pid, signal);
  }

  async #addProcess(pid: number, signal: AbortSignal): Promise<void> {
    let table: number | undefined;
    try {
      const maps = await readFile(`/proc/${pid}/maps`, 'utf8');
      table = openSync(`/proc/${pid}/pagemap`, 'r');
      const pages = new ProcessPages(pid, ALL_ADDRESSES);
      this.#opened.push(pages);
      for (const region of regionsOf(maps)) await this.#addRegion(pages, table, region, signal);
    } catch (error) {
      hasEnded(error);
    } finally {
      if (table !== undefined) closeSync(table);
    }
  }

  async #addRegion(
    of: ProcessPages,
    table: number,
    { from, to, shared }: Region,
    signal: AbortSignal,
  ): Promise<void> {
    this.#entries += (to - from) / PAGE;
    if (this.#entries > MAX_ENTRIES)
      throw new TooLarge(
        'its processes have more than 64 GiB of addresses, and no more is looked at',
      );
    const entries = Buffer.alloc(AT_ONCE * ENTRY_BYTES);
    for (let at = from / PAGE; at < to / PAGE; at += AT_ONCE) {
      signal.throwIfAborted();
      const length = Math.min(AT_ONCE, to / PAGE - at) * ENTRY_BYTES;
      const seen = readSync(table, entries, 0, length, at * ENTRY_BYTES) / ENTRY_BYTES;
      for (let index = 0; index < seen; index += 1) {
        let last = index;
        while (last < seen && isDumped(entries, last, shared)) last += 1;
        if (last > index) this.#addRun({ page: at + index, count: last - index, of });
        index = last;
      }
      await setImmediate();
    }
  }

  #addRun(run: Omit<Run<ProcessPages>, 'first'>): void {
    if (this.#runs.length === MAX_RUNS)
      throw new TooLarge(`its memory is in more than ${MAX_RUNS} pieces`);
    this.#runs.push({ ...run, first: this.count });
    this.count += run.count;
  }

  state(number: number): 'here' | 'away' {
    const run = runWith(this.#runs, number);
    if (run === undefined) return 'away';
    return run.of.state(run.page + number - run.first) === 'here' ? 'here' : 'away';
  }

  read(number: number, into: Buffer): boolean {
    const run = runWith(this.#runs, number);
    return run !== undefined && run.of.read(run.page + number - run.first, into);
  }

  close(): void {
    for (const each of this.#opened) each.close();
  }
}
