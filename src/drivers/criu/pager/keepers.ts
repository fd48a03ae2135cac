import { lifeOf } from '../../../system/processes/life.ts';
import { bootId, kill, startTicksOf } from '../../../system/processes/process.ts';
import type { PagerState } from './journal.ts';
import * as kernel from './kernel.ts';
import { isNoRoom } from './reading.ts';
import { beginSharer, reap } from './sharer.ts';

const KEEPERS = 2;
/** Of pagers that ended one after another before they ended the keepers before theirs. A journal takes 16 in all. */
const MAX_BEFORE = 14;

/**
 * They keep the container from reading zeros once its pager has ended: a userfaultfd that nobody holds any more gives each page
 * that has not come as one of zeros. Each holds all of the pager's, also those of processes that were forked an instant ago.
 */
export class Keepers {
  /** By descriptor. */
  readonly #pids = new Map<number, number>();
  readonly #changed: (keepers: PagerState['keepers']) => void;
  /** The host lets no more of them begin. */
  isShort = false;

  constructor(changed: (keepers: PagerState['keepers']) => void) {
    this.#changed = changed;
  }

  /** A descriptor of each, which can be read once it has ended. */
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
   * Throws where the host lets too few begin: then none is there. `before`: those of a pager that has ended. They end once the
   * new ones are written down beside them, so that each is known whenever this process ends.
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

  /** One has ended. */
  lost(fd: number): void {
    const pid = this.#pids.get(fd);
    this.#pids.delete(fd);
    kernel.close(fd);
    if (pid !== undefined) reap(pid);
    this.again();
  }

  /** Where the host lets none begin now, the next try may. */
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

/** Of an earlier boot none is, whoever has its number now. */
export const livingOf = (keepers: PagerState['keepers']): PagerState['keepers'] =>
  keepers.filter((each) => lifeOf(each).state === 'alive');

/** Has `take` take all that keepers hold from one of them: the one that began last, where it has all. Undefined, or why none could. */
export function takeFromOne(keepers: PagerState['keepers'], take: (pid: number) => void): unknown {
  let why: unknown = new Error('no keeper is left');
  for (const { pid } of keepers.toReversed()) {
    try {
      take(pid);
      return undefined;
    } catch (error) {
      // Where this host has no room for them, the keeper holds them on.
      if (isNoRoom(error)) throw error;
      why = error;
    }
  }
  return why;
}
