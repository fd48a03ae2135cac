import type { Clock } from '../../clock.ts';
import type { StandbyOfferRecord } from '../../migration/standby/offers.ts';
import { keyOf } from './offered.ts';

/** Pause before an unchanged guest is described again after a failure, ms. */
const AGAIN_MS = 60_000;
/** Hosts that are sent a description at once; fewer than the concurrent checks of a host's guests. */
const AT_ONCE = 3;
/** A failure after this time was caused by the other host, which blocked the guest's monitor meanwhile, ms. */
const HELD_UP_MS = 60_000;
const REST_MS = 600_000;

export interface DueDescription extends Pick<StandbyOfferRecord, 'guest' | 'to'> {
  /** Digest of the guest now; empty: unchanged. */
  readonly digest: string;
}

export interface DescribeQueuesDependencies {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Resolves to whether the other host took it. Never rejects. */
  readonly describe: (due: DueDescription) => Promise<boolean>;
  readonly isTaken: (guest: string) => boolean;
}

/** One queue of descriptions per standby host, so that a slow host delays no other host's. */
export class DescribeQueues {
  readonly #deps: DescribeQueuesDependencies;
  /** Due descriptions by standby host, the next host first. */
  #waiting = new Map<string, DueDescription[]>();
  readonly #sending = new Map<string, { readonly guest: string; readonly done: Promise<void> }>();
  readonly #tries = new Map<string, { readonly digest: string; readonly atMs: number }>();
  readonly #resting = new Map<string, number>();
  #isClosed = false;

  constructor(deps: DescribeQueuesDependencies) {
    this.#deps = deps;
  }

  replace(due: readonly DueDescription[], keys: ReadonlySet<string>): void {
    const nowMs = this.#deps.clock.monotonicMs();
    for (const key of this.#tries.keys()) if (!keys.has(key)) this.#tries.delete(key);
    for (const [to, untilMs] of this.#resting) if (untilMs <= nowMs) this.#resting.delete(to);
    const byHost = Map.groupBy(
      due.filter((each) => this.#isDue(each, nowMs)),
      ({ to }) => to,
    );
    const order = [...this.#waiting.keys(), ...byHost.keys()].filter((to) => byHost.has(to));
    this.#waiting = new Map(order.map((to) => [to, byHost.get(to) ?? []]));
    this.#next();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#sending.values()].map(({ done }) => done));
  }

  #isDue(due: DueDescription, nowMs: number): boolean {
    const { guest, to } = due;
    if (this.#resting.has(to) || this.#sending.get(to)?.guest === guest) return false;
    const before = this.#tries.get(keyOf(due));
    return before === undefined || before.digest !== due.digest || nowMs - before.atMs >= AGAIN_MS;
  }

  #next(): void {
    for (const [to, own] of this.#waiting) {
      if (this.#isClosed || this.#sending.size >= AT_ONCE) return;
      if (this.#sending.has(to)) continue;
      const at = own.findIndex(({ guest }) => !this.#deps.isTaken(guest));
      const [due] = at < 0 ? [] : own.splice(at, 1);
      if (due === undefined) continue;
      this.#waiting.delete(to);
      if (own.length > 0) this.#waiting.set(to, own);
      const done = this.#send(due).finally(() => {
        this.#sending.delete(to);
        this.#next();
      });
      this.#sending.set(to, { guest: due.guest, done });
    }
  }

  async #send(due: DueDescription): Promise<void> {
    const { clock, describe } = this.#deps;
    const atMs = clock.monotonicMs();
    this.#tries.set(keyOf(due), { digest: due.digest, atMs });
    const isTaken = await describe(due);
    if (isTaken) {
      this.#tries.delete(keyOf(due));
      return;
    }
    const nowMs = clock.monotonicMs();
    if (nowMs - atMs < HELD_UP_MS) return;
    this.#resting.set(due.to, nowMs + REST_MS);
    this.#waiting.delete(due.to);
  }
}
