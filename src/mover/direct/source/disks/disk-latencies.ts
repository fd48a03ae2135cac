import type { Clock } from '../../../../clock.ts';
import { withDeadline } from '../../../../deadline.ts';
import type { RequestCounter } from '../../../../port/disks.ts';
import { toGodwitError } from '../../../../errors.ts';
import type { Log } from '../../../../log.ts';
import { requestsOf } from '../../../../migration/report/latencies.ts';
import { defined } from '../../../../protocol/defined.ts';
import type { DiskLatency } from '../../../../protocol/disk.ts';
import type { MoverParts } from '../source-base.ts';

const MAX_MS = 2000;

type Dependencies = Pick<MoverParts, 'guest' | 'state' | 'dispatch'>;

/** Latency of the guest's requests to copied disks, before and during the copies. Never delays or fails a migration. */
export class DiskLatencies {
  readonly #deps: Dependencies;
  readonly #clock: Clock;
  readonly #log: Log;
  #beginning: Promise<void> | undefined;
  #sinceMs: number | undefined;

  constructor(deps: Dependencies, clock: Clock, log: Log) {
    this.#deps = deps;
    this.#clock = clock;
    this.#log = log;
  }

  /** Starts counting, during the steps that prepare the destination. */
  begin(): void {
    this.#beginning = this.#quietly(undefined, (counter, nodes, signal) =>
      this.#anew(counter, nodes, signal),
    );
  }

  async now(signal: AbortSignal): Promise<DiskLatency[]> {
    const found: DiskLatency[] = [];
    await this.#quietly(signal, async (counter, nodes, within) => {
      await this.#beginning;
      for (const { node, requests } of await this.#read(counter, nodes, within))
        found.push({ node, before: requests });
    });
    return found;
  }

  /** The copies begin. A mover that takes over during them adds nothing. */
  async copying(signal: AbortSignal): Promise<void> {
    if (this.#deps.state().known.diskLatency !== undefined) return;
    await this.#quietly(signal, async (counter, nodes, within) => {
      await this.#beginning;
      const before = await this.#read(counter, nodes, within);
      await this.#anew(counter, nodes, within);
      const disks = before.map(({ node, requests }) => ({ node, before: requests }));
      this.#deps.dispatch({ type: 'latency', disks });
    });
  }

  /** Ends counting: the guest has left, or the copies were given up. */
  async end(signal: AbortSignal): Promise<void> {
    await this.#quietly(signal, async (counter, nodes, within) => {
      await this.#beginning;
      const { diskLatency: known } = this.#deps.state().known;
      if (known?.every(({ during }) => during === undefined) === true) {
        const found = await this.#read(counter, nodes, within);
        const disks = found.map(({ node, requests: during }): DiskLatency => {
          const before = known.find((disk) => disk.node === node)?.before;
          return { node, ...defined({ before }), during };
        });
        if (disks.length > 0) this.#deps.dispatch({ type: 'latency', disks });
      }
      await counter.end(within);
    });
  }

  async #anew(
    counter: RequestCounter,
    nodes: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    await counter.begin(nodes, signal);
    this.#sinceMs = this.#clock.monotonicMs();
  }

  async #read(counter: RequestCounter, nodes: readonly string[], signal: AbortSignal) {
    const counts = await counter.read(nodes, signal);
    const since = this.#sinceMs;
    const overMs = since === undefined ? undefined : Math.round(this.#clock.monotonicMs() - since);
    return counts.map(({ node, ...each }) => ({ node, requests: requestsOf(each, overMs) }));
  }

  async #quietly(
    signal: AbortSignal | undefined,
    work: (counter: RequestCounter, nodes: readonly string[], signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const { guest, state } = this.#deps;
    const nodes = (state().known.copies ?? []).map(({ node }) => node);
    if (nodes.length === 0) return;
    try {
      await withDeadline('counting the guest’s requests', MAX_MS, signal, async (within) => {
        const { requests } = (await guest.session(within)).disks ?? {};
        if (requests !== undefined) await work(requests, nodes, within);
      });
    } catch (thrown) {
      signal?.throwIfAborted();
      this.#log.debug(
        { error: toGodwitError(thrown) },
        'disk requests of the guest are not counted',
      );
    }
  }
}
