import type { Clock } from '../../clock.ts';
import {
  LINK_KEPT_MS,
  MAX_LINK_BYTES,
  MAX_PAD,
  type LinkAnswer,
} from '../../protocol/peer/link.ts';
import type { Caller } from '../../rpc/caller.ts';
import { ownWorkMs } from '../../system/processes/own-work.ts';
import type { MigrationStore } from '../migrations/store.ts';

const MAX_HOSTS = 1024;
/** Minimum cost of a question, bytes. */
const MIN_BYTES = 1024;

interface TrafficWindow {
  readonly sinceMs: number;
  bytes: number;
}

/**
 * Receives bytes from other hosts that measure their link to this one, limited per host to the need of a measurement.
 */
export class LinkAnswers {
  readonly #clock: Clock;
  readonly #store: Pick<MigrationStore, 'usesLink'>;
  readonly #taken = new Map<string, TrafficWindow>();

  constructor(clock: Clock, store: Pick<MigrationStore, 'usesLink'>) {
    this.#clock = clock;
    this.#store = store;
  }

  answer({ pad }: { readonly pad: string }, { name }: Caller): LinkAnswer {
    if (this.#store.usesLink()) return { busy: 'a migration uses its link' };
    const taken = this.#of(name);
    taken.bytes += Math.max(MIN_BYTES, pad.length);
    if (taken.bytes <= MAX_LINK_BYTES + MAX_PAD) return { workMs: ownWorkMs() };
    return { busy: 'it has taken as much as it takes of one host for a while' };
  }

  #of(name: string): TrafficWindow {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#taken.get(name);
    if (known !== undefined && nowMs - known.sinceMs < LINK_KEPT_MS) return known;
    const taken = { sinceMs: nowMs, bytes: 0 };
    this.#taken.delete(name);
    this.#taken.set(name, taken);
    const [oldest] = this.#taken.keys();
    if (this.#taken.size > MAX_HOSTS && oldest !== undefined) this.#taken.delete(oldest);
    return taken;
  }
}
