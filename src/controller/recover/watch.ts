import { createHash } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { Poller } from '../../poller.ts';
import type { agentContract } from '../../protocol/contract.ts';
import {
  newRequest,
  requestAsk,
  type FleetRequest,
} from '../../protocol/controller/fleet-request.ts';
import type { Api } from '../../rpc/client.ts';
import type { ControllerConfig } from '../config.ts';
import { EventLoopYield } from '../event-loop-yield.ts';
import type { HeldShards } from '../inventory/leases.ts';
import { shardOf } from '../inventory/shards.ts';
import type { Store } from '../store/store.ts';
import {
  forgetStandbys,
  forgetStandbysOf,
  hostsNow,
  labelledGuests,
  MAX_COVERED,
  MAX_WORDS,
  standbysOf,
  standbySources,
  writeStandby,
  type LabelledGuests,
} from '../store/standbys.ts';
import {
  Circle,
  fairShares,
  nextAsks,
  outdatedRows,
  rotated,
  type StandbyAsk,
} from './next-asks.ts';
import { Rests } from './rests.ts';

const LOOK_MS = 15_000;
const ANSWER_MS = 110_000;
/** Asks begun per look; each check takes hold of a monitor. */
const MAX_PER_LOOK = 64;
/** Concurrent asks about one destination; each source has at most one. */
const MAX_AT_ONE = 4;

export interface RecoverWatchDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly policy: ControllerConfig['recover'];
  readonly held: () => HeldShards;
  readonly agentAt: (host: string) => Pick<Api<typeof agentContract>, 'putStandby'> | undefined;
  readonly add: (request: FleetRequest) => Promise<void>;
  /** Called at each look: whether a host has more labelled guests than are kept. */
  readonly exceeds?: (host: string, isExceeded: boolean) => void;
  readonly yieldTurn?: () => Promise<void>;
  readonly hash?: (text: string) => string;
}

/**
 * Copies the start data of guests with the label godwit/recover to other hosts while their host lives. If the policy
 * allows it, requests their recovery once a host is silent for long. It proves nothing; the host that starts a guest
 * does.
 */
export class RecoverWatch {
  readonly #deps: RecoverWatchDependencies;
  readonly #looks: Poller;
  readonly #eventLoop: EventLoopYield;
  readonly #hash: (text: string) => string;
  readonly #requested = new Map<string, string>();
  readonly #open = new Map<string, Promise<void>>();
  readonly #asked = new Map<string, number>();
  readonly #rests = new Rests();
  readonly #lastGuests = new Map<string, string>();
  #lastHost: string | undefined;
  readonly #beyond = new Map<string, string>();

  constructor(deps: RecoverWatchDependencies) {
    this.#deps = deps;
    this.#looks = new Poller(deps);
    this.#eventLoop = new EventLoopYield(() => deps.clock.monotonicMs());
    this.#hash = deps.hash ?? sha256;
  }

  start(): void {
    this.#looks.start(LOOK_MS, () => this.look(), 'standbys of guests were not seen to');
    if (this.#deps.policy.policy === 'off') return;
    this.#looks.start(LOOK_MS, () => this.lookForDead(), 'hosts that are silent were not seen to');
  }

  async close(): Promise<void> {
    await this.#looks.close();
    await this.settled();
  }

  async settled(): Promise<void> {
    await Promise.all(this.#open.values());
  }

  async look(): Promise<void> {
    const { store } = this.#deps;
    const hosts = await hostsNow(store);
    const mine = hosts.filter(({ host }) => this.#isMine(host));
    const own = new Set(mine.map(({ host }) => host));
    const members = new Set(hosts.map(({ host }) => host));
    const up = hosts.flatMap(({ host, state }) => (state === 'up' ? [host] : []));
    const circle = new Circle(up, this.#hash);
    const ownUp = up.filter((host) => own.has(host));
    const labelled = await labelledGuests(store, ownUp, () => this.#turn());
    const sources = new Set(await standbySources(store));
    for (const host of sources)
      if (!members.has(host) && this.#isMine(host)) await forgetStandbysOf(store, host);
    const asks: StandbyAsk[][] = [];
    for (const host of rotated([...own].toSorted(), this.#lastHost)) {
      if (!labelled.has(host) && !sources.has(host) && !this.#beyond.has(host)) continue;
      await this.#turn();
      const { covered, beyond } = labelled.get(host) ?? NONE;
      const rows = await standbysOf(store, host);
      const isUp = circle.has(host);
      const outdated = outdatedRows({ guests: isUp ? covered : undefined, rows }, members);
      await forgetStandbys(store, host, outdated);
      if (!isUp) continue;
      this.#report(host, beyond);
      if (this.#open.has(host) || this.#rests.isResting(host, this.#nowMs())) continue;
      const resting = this.#rests.destinations(host, this.#nowMs());
      const source = { host, guests: covered.toSorted(), rows };
      const options = { circle, resting, after: this.#lastGuests.get(host), max: MAX_PER_LOOK };
      asks.push(nextAsks(source, options));
    }
    this.#rests.keep(own);
    for (const each of [this.#lastGuests, this.#beyond])
      for (const host of each.keys()) if (!own.has(host)) each.delete(host);
    for (const share of fairShares(asks, MAX_PER_LOOK)) this.#begin(share);
  }

  async lookForDead(): Promise<void> {
    const { store, policy } = this.#deps;
    if (policy.policy === 'off') return;
    const hosts = await hostsNow(store);
    const silent = hosts.filter(
      ({ host, state, sinceMs, nowMs }) =>
        state === 'silent' &&
        this.#isMine(host) &&
        nowMs - sinceMs >= policy.silentMs &&
        this.#requested.get(host) !== idOf(host, sinceMs),
    );
    const names = silent.map(({ host }) => host);
    const labelled = await labelledGuests(store, names, () => this.#turn());
    for (const { host, sinceMs, nowMs } of silent)
      if ((labelled.get(host) ?? NONE).covered.length > 0)
        await this.#request(host, idOf(host, sinceMs), nowMs);
    const members = new Set(hosts.map(({ host }) => host));
    for (const host of this.#requested.keys()) if (!members.has(host)) this.#requested.delete(host);
  }

  /** The id is the same for the same silence, so a repetition changes nothing. */
  async #request(host: string, id: string, nowMs: number): Promise<void> {
    const { add, log } = this.#deps;
    const ask = requestAsk.parse({ kind: 'recover', hosts: [host] });
    try {
      await add(newRequest(id, ask, { nowMs, by: 'the policy' }));
      this.#requested.set(host, id);
      log.warn({ host, request: id }, 'host does not answer: its guests will be started elsewhere');
    } catch (thrown) {
      // A person's request for it is open.
      log.debug({ host, error: toGodwitError(thrown) }, 'recovery not requested');
    }
  }

  #report(host: string, beyond: LabelledGuests['beyond']): void {
    const { exceeds, log } = this.#deps;
    exceeds?.(host, beyond.length > 0);
    const names = beyond.join(' ');
    if (names === (this.#beyond.get(host) ?? '')) return;
    if (names === '') this.#beyond.delete(host);
    else this.#beyond.set(host, names);
    const facts = { host, limit: MAX_COVERED, beyond };
    if (names === '') log.info(facts, 'labelled guests of a host are within the limit of standbys');
    else
      log.warn(
        facts,
        'labelled guests of a host exceed the limit of standbys: these and later ones have none',
      );
  }

  #begin(asks: readonly StandbyAsk[]): void {
    const [first] = asks;
    const last = asks.at(-1);
    if (first === undefined || last === undefined) return;
    const { host } = first;
    this.#lastHost = host;
    this.#lastGuests.set(host, last.guest);
    const round = this.#askAll(asks)
      .catch((thrown: unknown) => {
        if (this.#looks.signal.aborted) return;
        this.#deps.log.warn({ host, error: toGodwitError(thrown) }, 'standbys not requested');
      })
      .finally(() => this.#open.delete(host));
    this.#open.set(host, round);
  }

  async #askAll(asks: readonly StandbyAsk[]): Promise<void> {
    const { log } = this.#deps;
    for (const ask of asks) {
      const { host, to } = ask;
      if (this.#looks.signal.aborted || !this.#isMine(host)) return;
      const before = this.#asked.get(to) ?? 0;
      if (before >= MAX_AT_ONE) continue;
      this.#asked.set(to, before + 1);
      const fromMs = this.#nowMs();
      try {
        await this.#keep(ask);
      } finally {
        const left = (this.#asked.get(to) ?? 1) - 1;
        if (left === 0) this.#asked.delete(to);
        else this.#asked.set(to, left);
      }
      const nowMs = this.#nowMs();
      const tookMs = nowMs - fromMs;
      const restMs = this.#rests.note(ask, tookMs, nowMs);
      if (restMs > 0) log.warn({ host, tookMs, restMs }, 'host does not report its guests');
      if (this.#rests.destinations(host, nowMs).has(to)) return;
    }
  }

  async #keep({ host, guest, to }: StandbyAsk): Promise<void> {
    const { agentAt, store, log } = this.#deps;
    const { signal } = this.#looks;
    const words = await ask(agentAt(host), { guest, to, signal });
    if (signal.aborted) return;
    if (words !== undefined) log.warn({ host, guest, to, words }, 'guest has no standby');
    await writeStandby(store, { host, guest, to, words });
  }

  #isMine(host: string): boolean {
    return this.#deps.held().has(shardOf(host));
  }

  #nowMs(): number {
    return this.#deps.clock.monotonicMs();
  }

  async #turn(): Promise<void> {
    this.#looks.signal.throwIfAborted();
    await (this.#deps.yieldTurn?.() ?? this.#eventLoop.next());
  }
}

const NONE: LabelledGuests = { covered: [], beyond: [] };

async function ask(
  api: Pick<Api<typeof agentContract>, 'putStandby'> | undefined,
  { guest, to, signal }: { guest: string; to: string; signal: AbortSignal },
): Promise<string | undefined> {
  if (api === undefined) return 'its host is no member of the fleet';
  try {
    await api.putStandby({ params: { guest }, body: { to } }, { deadlineMs: ANSWER_MS, signal });
    return undefined;
  } catch (thrown) {
    return toGodwitError(thrown).message.slice(0, MAX_WORDS);
  }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const idOf = (host: string, sinceMs: number): string =>
  `r-${sha256(`recover ${host} ${sinceMs}`).slice(0, 16)}`;
