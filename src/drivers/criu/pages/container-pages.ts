import { closeSync, openSync, readSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import type { Pages } from '../../../host/memory-sample/pages.ts';
import { ProcessPages } from '../../../host/memory-sample/process-pages.ts';
import { ENTRY_BYTES, PAGE, isDumped, regionsOf, type Region } from './memory.ts';
import { hasEnded } from '../host/processes.ts';

/** The pages of all processes of a container, looked at from outside as they run. */

/** Two files of each are open while it is looked at. */
export const MAX_PROCESSES = 256;
/** Of its processes' page maps, 128 MiB are read: those of 64 GiB of addresses, whether or not there is memory. */
const MAX_ENTRIES = 16 * 1024 ** 2;
/** Pages one after the other, each such run about 130 bytes of this process. */
const MAX_RUNS = 256 * 1024;
const AT_ONCE = 8192;
/** Below the last address that the kernel gives a process. */
const ALL_ADDRESSES = { address: 0, bytes: 2 ** 47 };

/** Pages that lie beside one another. */
export interface Run<T> {
  /** Its number among all pages. */
  readonly first: number;
  readonly count: number;
  /** Its number in its process. */
  readonly page: number;
  readonly of: T;
}

/** The run that holds the page of that number; they are in its order. Pure. */
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
 * What the first round of a migration would read: the pages that are in memory when this is made. Pages that are made later
 * are not among them, and one that goes away is not counted as written.
 */
export class ContainerPages implements Pages {
  readonly #opened: ProcessPages[] = [];
  readonly #runs: Run<ProcessPages>[] = [];
  #entries = 0;
  count = 0;

  /** Those of `pids` that live still. TooLarge where there is more than it looks at. */
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
