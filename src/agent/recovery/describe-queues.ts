import type { Clock } from '../../clock.ts';
import type { StandbyOfferRecord } from '../../migration/standby/offers.ts';
import { keyOf } from './offered.ts';

/** Between two tries to describe a guest that is as it was at the last try, ms. */
const AGAIN_MS = 60_000;
/** Hosts that are sent a description at once: fewer than the checks that a host makes of its guests at once. */
const AT_ONCE = 3;
/** A try that failed after so long was held up by the other host, ms. It had hold of the guest's monitor meanwhile. */
const HELD_UP_MS = 60_000;
/** A host that held a try up is tried again after this time, ms. */
const REST_MS = 600_000;

/** A description that is to be sent again. */
export interface DueDescription extends Pick<StandbyOfferRecord, 'guest' | 'to'> {
  /** Of the guest now; empty: as it was described. */
  readonly digest: string;
}

export interface DescribeQueuesDependencies {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Sends one description; never rejects. Resolves to whether the other host took it. */
  readonly describe: (due: DueDescription) => Promise<boolean>;
  /** The guest is being described to some host: its hypervisor serves one check at a time. */
  readonly isTaken: (guest: string) => boolean;
}

/**
 * Descriptions that are to be sent again: a queue for each standby host, so that a host that holds up its own descriptions
 * holds up no other host's.
 */
export class DescribeQueues {
  readonly #deps: DescribeQueuesDependencies;
  /** By standby host, the host whose turn is next first. Replaced by each look, so no longer than the record of offers. */
  #waiting = new Map<string, DueDescription[]>();
  /** By standby host: the description that is on its way. */
  readonly #sending = new Map<string, { readonly guest: string; readonly done: Promise<void> }>();
  /** By guest and host: what a description was last tried of, and when. */
  readonly #tries = new Map<string, { readonly digest: string; readonly atMs: number }>();
  /** By standby host, until when it is not tried again, ms. */
  readonly #resting = new Map<string, number>();
  #isClosed = false;

  constructor(deps: DescribeQueuesDependencies) {
    this.#deps = deps;
  }

  /** Replaces the waiting descriptions of the last look by the ones that are due now. `keys`: of all kept offers. */
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
