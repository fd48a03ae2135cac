import { withDeadline } from '../../deadline.ts';
import type { RequestCounter } from '../../port/disks.ts';
import type { SourceGuest } from '../direct/source/guest/guest.ts';
import { requestsOf } from '../../migration/report/latencies.ts';
import type { ExaminedHost } from './questions.ts';

const MAX_MS = 1000;

/** Latency of the guest's requests to disks, counted during a plan. Delays no plan, and never throws. */
export class RequestLook {
  readonly #open: () => Promise<Pick<SourceGuest, 'session'>>;
  #begun: { readonly nodes: readonly string[]; readonly counting: Promise<number> } | undefined;

  constructor(open: () => Promise<Pick<SourceGuest, 'session'>>) {
    this.#open = open;
  }

  /** Starts counting; only once. */
  begin(nodes: readonly string[]): void {
    if (nodes.length === 0 || this.#begun !== undefined) return;
    const counting = this.#ask(async (counter, signal) => {
      await counter.begin(nodes, signal);
      return performance.now();
    });
    counting.catch(() => undefined);
    this.#begun = { nodes, counting };
  }

  /** Ends counting and returns the result; empty if nothing was begun, or if taken already. */
  async take(): Promise<Pick<ExaminedHost, 'diskLatency'>> {
    const begun = this.#begun;
    this.#begun = undefined;
    if (begun === undefined) return {};
    try {
      const since = await begun.counting;
      return await this.#ask(async (counter, signal) => {
        const reading = counter.read(begun.nodes, signal);
        const counts = await reading.finally(() => counter.end(signal));
        const overMs = Math.round(performance.now() - since);
        const disks = counts.map(({ node, ...each }) => ({
          node,
          before: requestsOf(each, overMs),
        }));
        return disks.length === 0 ? {} : { diskLatency: disks };
      });
    } catch {
      // The plan then omits it.
      return {};
    }
  }

  #ask<T>(work: (counter: RequestCounter, signal: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline('counting the guest’s requests', MAX_MS, undefined, async (signal) => {
      const session = await (await this.#open()).session(signal);
      const counter = session.disks?.requests;
      if (counter === undefined) throw new Error('its driver does not count');
      return work(counter, signal);
    });
  }
}
