import type { LaterAnswer } from '../../protocol/peer/probe.ts';
import type { Later } from '../../protocol/public/probe.ts';
import type { WatcherProcess } from '../processes/watcher-process.ts';

const MAX = 4;
const MAX_EACH = 3;
const MAX_KEPT = 64;
const NOTHING: Later = { sent: 0, answered: 0, gapMs: 0, forMs: 0, complete: false };

/** The probed guest and its new host; `to` is absent if the manager did not name the host. */
export interface ArrivedGuest {
  readonly guest: string;
  readonly to?: string | undefined;
}

interface Going extends ArrivedGuest {
  readonly process: WatcherProcess;
  ended?: string;
}

export class LaterWatches {
  readonly #host: string;
  readonly #going = new Map<string, Going>();
  readonly #seen = new Map<string, Later>();

  constructor(host: string) {
    this.#host = host;
  }

  /** Takes a place, or returns why there is none. `key`: HOST/MIGRATION of the host that requested the watch. */
  take(key: string, arrived: ArrivedGuest, process: WatcherProcess): string | undefined {
    if (this.#going.has(key)) return `${this.#host} probes it already`;
    const host = hostIn(key);
    const ofHost = [...this.#going.keys()].filter((each) => hostIn(each) === host).length;
    if (ofHost >= MAX_EACH)
      return `${this.#host} probes ${MAX_EACH} guests for ${host} after their migrations already`;
    if (this.#going.size >= MAX)
      return `${this.#host} probes ${MAX} guests after their migrations already`;
    const going: Going = { ...arrived, process };
    this.#going.set(key, going);
    void process.gone.then(() => this.#over(key, going));
    return undefined;
  }

  leave(key: string): void {
    this.#going.delete(key);
  }

  /**
   * Ends the watch of a guest that moves again from its new host; the next watch belongs to that migration. Another
   * host may move another guest of that name.
   */
  movesAgain(guest: string, from: string): void {
    for (const [key, each] of this.#going) {
      const isItsOwn = hostIn(key) === from || (each.to ?? from) === from;
      if (each.guest === guest && isItsOwn) this.stop(key, 'it was moved again');
    }
  }

  stop(key: string, why: string): void {
    const going = this.#going.get(key);
    if (going === undefined) return;
    going.ended = why;
    going.process.stop();
  }

  of(key: string): LaterAnswer {
    const going = this.#going.get(key);
    if (going !== undefined) {
      const later = going.process.later();
      return later === undefined ? {} : { later };
    }
    const later = this.#seen.get(key);
    return later === undefined
      ? { why: `${this.#host} knows nothing of it any more: its agent was started anew meanwhile` }
      : { later };
  }

  #over(key: string, going: Going): void {
    if (this.#going.get(key) !== going) return;
    this.#going.delete(key);
    const { process, ended = `its process on ${this.#host} ended` } = going;
    const later = process.later() ?? NOTHING;
    this.#seen.set(key, later.complete ? later : { ...later, ended });
    const [oldest] = this.#seen.keys();
    if (this.#seen.size > MAX_KEPT && oldest !== undefined) this.#seen.delete(oldest);
  }

  close(): void {
    for (const { process } of this.#going.values()) process.stop();
  }
}

const hostIn = (key: string): string => key.slice(0, key.indexOf('/'));
