import type { Clock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { FleetNews } from '../../protocol/controller/events.ts';
import { isEnd, type Progress } from '../../protocol/public/migration.ts';
import type { Api } from '../../rpc/client.ts';
import type { HeldShards } from '../inventory/leases.ts';
import { HISTORY_READS, ReadBudget } from '../inventory/read-budget.ts';
import type { Store } from '../store/store.ts';
import { LateReports } from './late-reports.ts';
import { Live } from './live.ts';
import { Migrations } from '../store/migrations.ts';
import { bytesOf, horizonOf, pruneHistory, type HistoryPolicy, type Horizon } from './prune.ts';
import { Recorder, type Side } from './recorder.ts';

type AgentApi = Api<typeof agentContract>;

export interface HistoryDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly policy: HistoryPolicy;
  readonly agentAt: (host: string) => AgentApi | undefined;
  readonly held: () => HeldShards;
  readonly publish: (news: FleetNews) => void;
  readonly exceeds?: (host: string, isExceeded: boolean) => void;
}

const TURN_MS = 500;
/** Hosts that are read at once. */
const HOSTS_AT_ONCE = 16;
const SILENT_AT_ONCE = 4;
/** A destination's report counts after the source had this time for its own. */
const SOURCE_FIRST_MS = 60_000;
const AGAIN_MS = 5000;
const PRUNE_MS = 3_600_000;
/** Pruning runs earlier once new rows reach this part of the bound. */
const SOON = 1 / 10;

interface FollowedHost {
  readonly due: Map<Side, number>;
  readonly end: AbortController;
  readonly budget: ReadBudget;
  isSilent: boolean;
  look: Promise<void> | undefined;
}

/**
 * Stores every migration of the fleet's hosts. A host is asked for its list when it is first followed, and whenever it
 * reports a begun or ended migration, so nothing is missed while no controller runs.
 */
export class History {
  readonly #deps: HistoryDependencies;
  readonly #live: Live;
  readonly #recorder: Recorder;
  readonly #late: LateReports;
  readonly #hosts = new Map<string, FollowedHost>();
  readonly #end = new AbortController();
  readonly #looks = new Set<Promise<void>>();
  #loop: Promise<void> = Promise.resolve();
  #horizon: Horizon = { allMs: 0, hosts: new Map() };
  #unpruned = { rows: 0, bytes: 0 };
  #prunedMs = -Infinity;

  constructor(deps: HistoryDependencies) {
    this.#deps = deps;
    this.#live = new Live({ ...deps, signal: this.#end.signal });
    this.#late = new LateReports({
      ...deps,
      migrations: new Migrations(deps.store),
      monotonicMs: () => deps.clock.monotonicMs(),
    });
    const reported = this.#late.written.bind(this.#late);
    const wrote = (rows: number, bytes: number): void => {
      this.#unpruned = { rows: this.#unpruned.rows + rows, bytes: this.#unpruned.bytes + bytes };
    };
    this.#recorder = new Recorder({ ...deps, live: this.#live, reported, wrote });
  }

  get live(): Live {
    return this.#live;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#loop;
    await Promise.all([...this.#looks, this.#late.settled()]);
    await this.#live.close();
  }

  followed(host: string): void {
    if (!this.#hosts.has(host)) {
      const end = new AbortController();
      const budget = new ReadBudget(HISTORY_READS, this.#deps.clock.monotonicMs());
      this.#hosts.set(host, { due: new Map(), end, budget, isSilent: false, look: undefined });
    }
    this.#look(host, 'source');
    this.#look(host, 'destination', SOURCE_FIRST_MS);
    this.#late.followed(host).catch((thrown: unknown) => {
      const error = toGodwitError(thrown);
      this.#deps.log.warn({ host, error }, 'late reports of a host are unknown');
    });
  }

  left(host: string): void {
    this.#hosts.get(host)?.end.abort();
    this.#hosts.delete(host);
    this.#live.left(host);
    this.#late.left(host);
  }

  heard(host: string, progress: Progress): void {
    const isOther = progress.to === host && progress.from !== host;
    const side = isOther ? 'destination' : 'source';
    if (side === 'source') this.#live.heard(host, progress);
    const isNews =
      isEnd(progress.phase) || (side === 'source' && !this.#live.has(host, progress.id));
    if (isNews) this.#look(host, side, side === 'source' ? 0 : SOURCE_FIRST_MS);
  }

  #look(host: string, side: Side, inMs = 0): void {
    const due = this.#hosts.get(host)?.due;
    const atMs = this.#deps.clock.monotonicMs() + inMs;
    due?.set(side, Math.min(atMs, due.get(side) ?? Infinity));
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#deps;
    const { signal } = this.#end;
    let failed = '';
    while (!signal.aborted) {
      try {
        await this.#prune();
        this.#turn();
        this.#late.turn(signal);
        failed = '';
      } catch (thrown) {
        const error = toGodwitError(thrown);
        if (error.message !== failed && !signal.aborted)
          log.error({ error }, 'history of migrations could not be written');
        failed = error.message;
      }
      this.#live.poll();
      await clock.sleep(TURN_MS, signal).catch(() => {});
    }
  }

  #turn(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    const isWaited = ({ look, isSilent }: FollowedHost) => look !== undefined && isSilent;
    let silent = [...this.#hosts.values()].filter(isWaited).length;
    for (const [name, host] of this.#hosts) {
      if (this.#looks.size >= HOSTS_AT_ONCE) return;
      const side = dueOf(host, nowMs);
      if (side === undefined || (host.isSilent && silent >= SILENT_AT_ONCE)) continue;
      if (host.isSilent) silent += 1;
      const look = this.#lookAt(name, host, side).finally(() => {
        host.look = undefined;
        this.#looks.delete(look);
      });
      host.look = look;
      this.#looks.add(look);
    }
  }

  /** A failed look is repeated soon, and when the host is followed again. */
  async #lookAt(name: string, host: FollowedHost, side: Side): Promise<void> {
    host.due.delete(side);
    this.#lastInLine(name, host);
    const api = this.#deps.agentAt(name);
    if (api === undefined) return;
    const { clock, exceeds } = this.#deps;
    const isExceeded = host.budget.isExceeded(clock.monotonicMs());
    exceeds?.(name, isExceeded);
    if (isExceeded) return this.#look(name, side, AGAIN_MS);
    const took = (bytes: number): boolean => {
      host.budget.take(bytes, clock.monotonicMs());
      if (host.budget.waitMs(clock.monotonicMs()) === 0) return false;
      this.#look(name, side, AGAIN_MS);
      return true;
    };
    const horizonMs = Math.max(this.#horizon.allMs, this.#horizon.hosts.get(name) ?? 0);
    const signal = AbortSignal.any([this.#end.signal, host.end.signal]);
    try {
      await this.#recorder.record({ host: name, side, api, horizonMs, signal, took });
      host.isSilent = false;
    } catch (thrown) {
      if (signal.aborted) return;
      const error = toGodwitError(thrown);
      this.#deps.log.debug({ host: name, error }, 'migrations of a host are unknown');
      host.isSilent = true;
      this.#look(name, side, AGAIN_MS);
    }
  }

  #lastInLine(name: string, host: FollowedHost): void {
    this.#hosts.delete(name);
    this.#hosts.set(name, host);
  }

  async #prune(): Promise<void> {
    const { store, policy, clock, log } = this.#deps;
    const nowMs = clock.monotonicMs();
    const isMuch =
      this.#unpruned.rows > policy.most * SOON || this.#unpruned.bytes > bytesOf(policy) * SOON;
    if (nowMs - this.#prunedMs < PRUNE_MS && !isMuch) return;
    this.#unpruned = { rows: 0, bytes: 0 };
    const gone = await pruneHistory(store, policy);
    this.#horizon = await horizonOf(store, policy, gone.until);
    this.#prunedMs = nowMs;
    const { migrations, requests } = gone;
    if (migrations + requests > 0) log.info({ migrations, requests }, 'history pruned');
  }
}

function dueOf({ due, look }: FollowedHost, nowMs: number): Side | undefined {
  if (look !== undefined) return undefined;
  return [...due].find(([, atMs]) => atMs <= nowMs)?.[0];
}
