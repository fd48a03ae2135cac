import type { Clock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { FleetNews } from '../../protocol/controller/events.ts';
import { isEnd } from '../../protocol/public/migration.ts';
import type { Progress } from '../../protocol/public/migration.ts';
import type { Api } from '../../rpc/client.ts';
import type { Held } from '../inventory/leases.ts';
import type { Store } from '../store/open.ts';
import { Live } from './live.ts';
import { horizonMs, pruneHistory } from './prune.ts';
import type { HistoryPolicy } from './prune.ts';
import { Recorder } from './recorder.ts';
import type { Side } from './recorder.ts';

type AgentApi = Api<typeof agentContract>;

export interface HistoryParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly policy: HistoryPolicy;
  /** Undefined where the host is no member of the fleet. */
  readonly agentAt: (host: string) => AgentApi | undefined;
  /** The shards whose hosts are followed here. */
  readonly held: () => Held;
  readonly tell: (news: FleetNews) => void;
}

const TURN_MS = 500;
/** Hosts that are looked at together. */
const HOSTS_AT_ONCE = 16;
/** What a destination says counts once its source had the time to say it. */
const SOURCE_FIRST_MS = 60_000;
const AGAIN_MS = 5000;
const PRUNE_MS = 3_600_000;

/** When a host is to be looked at next, by side of its migrations, ms by the monotonic clock. */
type Due = Map<Side, number>;

/**
 * Writes down every migration that a host of the fleet took part in, whoever began it. A host that is followed is asked for
 * its list, and again whenever it says that a migration began or ended: so nothing is missed while no controller ran.
 */
export class History {
  readonly #parts: HistoryParts;
  readonly #live: Live;
  readonly #recorder: Recorder;
  readonly #due = new Map<string, Due>();
  readonly #end = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #horizonMs = 0;
  #prunedMs = -Infinity;

  constructor(parts: HistoryParts) {
    this.#parts = parts;
    this.#live = new Live({ ...parts, signal: this.#end.signal });
    this.#recorder = new Recorder({ ...parts, live: this.#live });
  }

  /** Those that are open and whose hosts are followed here. */
  get live(): Live {
    return this.#live;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#loop;
  }

  /** The host is followed from now on. */
  followed(host: string): void {
    this.#look(host, 'source');
    this.#look(host, 'destination', SOURCE_FIRST_MS);
  }

  /** It is followed here no more. */
  left(host: string): void {
    this.#due.delete(host);
    this.#live.left(host);
  }

  heard(host: string, progress: Progress): void {
    const isOther = progress.to === host && progress.from !== host;
    const side = isOther ? 'destination' : 'source';
    if (side === 'source') this.#live.heard(host, progress);
    const isNews = isEnd(progress.phase) || (side === 'source' && !this.#live.has(progress.id));
    if (isNews) this.#look(host, side, side === 'source' ? 0 : SOURCE_FIRST_MS);
  }

  #look(host: string, side: Side, inMs = 0): void {
    const due = this.#due.get(host) ?? new Map<Side, number>();
    const atMs = this.#parts.clock.monotonicMs() + inMs;
    due.set(side, Math.min(atMs, due.get(side) ?? Infinity));
    this.#due.set(host, due);
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#parts;
    const { signal } = this.#end;
    let failed = '';
    while (!signal.aborted) {
      try {
        await this.#prune();
        await this.#turn();
        failed = '';
      } catch (thrown) {
        const error = toGodwitError(thrown);
        if (error.message !== failed && !signal.aborted)
          log.error({ error }, 'the history of migrations could not be written');
        failed = error.message;
      }
      await this.#live.poll();
      await clock.sleep(TURN_MS, signal).catch(() => {});
    }
  }

  async #turn(): Promise<void> {
    const nowMs = this.#parts.clock.monotonicMs();
    const looks: { host: string; side: Side }[] = [];
    for (const [host, due] of this.#due) {
      for (const [side, atMs] of due) if (atMs <= nowMs) looks.push({ host, side });
      if (looks.length >= HOSTS_AT_ONCE) break;
    }
    await Promise.all(looks.map((each) => this.#lookAt(each.host, each.side)));
  }

  /** One that does not answer is looked at again: soon, and when it is followed anew. */
  async #lookAt(host: string, side: Side): Promise<void> {
    const due = this.#due.get(host);
    due?.delete(side);
    if (due?.size === 0) this.#due.delete(host);
    const api = this.#parts.agentAt(host);
    if (api === undefined) return;
    try {
      const { signal } = this.#end;
      await this.#recorder.record({ host, side, api, horizonMs: this.#horizonMs, signal });
    } catch (thrown) {
      if (this.#end.signal.aborted) return;
      const error = toGodwitError(thrown);
      this.#parts.log.debug({ host, error }, 'the migrations of a host are not known');
      this.#look(host, side, AGAIN_MS);
    }
  }

  async #prune(): Promise<void> {
    const { store, policy, clock, log } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#prunedMs < PRUNE_MS) return;
    const gone = await pruneHistory(store, policy);
    this.#horizonMs = await horizonMs(store, policy);
    this.#prunedMs = nowMs;
    if (gone.migrations + gone.wishes > 0) log.info(gone, 'the history was pruned');
  }
}
