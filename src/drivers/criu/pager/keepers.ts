import { lifeOf } from '../../../system/processes/life.ts';
import { bootId, kill, startTicksOf } from '../../../system/processes/process.ts';
import type { PagerState } from './journal.ts';
import * as kernel from './kernel.ts';
import { isNoRoom } from './reading.ts';
import { beginSharer, reap } from './sharer.ts';

const KEEPERS = 2;
/** Keepers of earlier pagers that ended before they had ended them. A journal accepts 16 in all. */
const MAX_BEFORE = 14;

/**
 * Keepers prevent zero pages after the pager's end: the kernel fills missing pages with zeros once no process
 * holds their userfaultfd. Each keeper holds all descriptors of the pager, including those of processes that
 * were just forked.
 */
export class Keepers {
  readonly #pids = new Map<number, number>();
  readonly #changed: (keepers: PagerState['keepers']) => void;
  /** The host allows no more processes. */
  isShort = false;

  constructor(changed: (keepers: PagerState['keepers']) => void) {
    this.#changed = changed;
  }

  get fds(): Iterable<number> {
    return this.#pids.keys();
  }

  has(fd: number): boolean {
    return this.#pids.has(fd);
  }

  get identities(): PagerState['keepers'] {
    const boot = bootId();
    return [...this.#pids.values()].map((pid) => ({
      pid,
      startTicks: startTicksOf(pid) ?? 0,
      bootId: boot,
    }));
  }

  /**
   * Throws, without any keeper left, if the host allows too few. `before`: keepers of an earlier pager, which
   * end after the new ones are recorded next to them, so that each is always known.
   */
  begin(before: PagerState['keepers'] = []): void {
    try {
      this.#fill();
    } catch (error) {
      this.end();
      throw error;
    }
    if (before.length > 0) {
      this.#changed([...before.slice(-MAX_BEFORE), ...this.identities]);
      for (const { pid } of before) kill(pid);
    }
    this.#changed(this.identities);
  }

  lost(fd: number): void {
    const pid = this.#pids.get(fd);
    this.#pids.delete(fd);
    kernel.close(fd);
    if (pid !== undefined) reap(pid);
    this.again();
  }

  /** If the host allows none now, the next attempt may succeed. */
  again(): void {
    const before = this.#pids.size;
    try {
      this.#fill();
      this.isShort = false;
    } catch {
      this.isShort = true;
    }
    if (this.#pids.size > before) this.#changed(this.identities);
  }

  #fill(): void {
    while (this.#pids.size < KEEPERS) {
      const pid = beginSharer();
      try {
        this.#pids.set(kernel.pidfd(pid), pid);
      } catch (error) {
        kill(pid);
        throw error;
      }
    }
  }

  end(): void {
    for (const pid of this.#pids.values()) kill(pid);
  }
}

/** Keepers of an earlier boot are gone, even if their pids are in use. */
export const livingOf = (keepers: PagerState['keepers']): PagerState['keepers'] =>
  keepers.filter((each) => lifeOf(each).state === 'alive');

/** Lets `take` take all descriptors from the newest keeper that has them. Undefined, or the reason for failure. */
export function takeFromOne(keepers: PagerState['keepers'], take: (pid: number) => void): unknown {
  let why: unknown = new Error('no keeper is left');
  for (const { pid } of keepers.toReversed()) {
    try {
      take(pid);
      return undefined;
    } catch (error) {
      // If this host lacks resources, the keeper keeps holding them.
      if (isNoRoom(error)) throw error;
      why = error;
    }
  }
  return why;
}
