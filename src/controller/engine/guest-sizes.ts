import type { Clock } from '../../clock.ts';
import { hasCode } from '../../errors.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { GuestSize, FleetRequestAsk } from '../../protocol/controller/fleet-request.ts';
import { defined } from '../../protocol/defined.ts';
import type { PlanAnswer } from '../../protocol/public/plan.ts';
import type { LinkMeasure } from '../../protocol/public/prediction.ts';
import type { Api } from '../../rpc/client.ts';
import { sizeOf, type SizedGuest } from '../requests/guest-size.ts';
import {
  linkMeasureOf,
  measuredLine,
  MAX_MEASURES,
  type Measure,
} from '../requests/measured-line.ts';
import type { SiteLink } from '../site-map.ts';
import type { AgentClients } from './agent-clients.ts';
import type { GuestSizes, SizesFound } from './ports.ts';

/** Guests of one host that are measured at a time. */
const AT_ONCE = 2;
const BUSY_MS = 500;
/** Deadline for one guest: 3 s for its memory, once 1.2 s for the line. */
const GUEST_MS = 30_000;
const LINE_MS = 12_000;
/** Hosts asked for the shared line, one after the other; some cannot measure it. */
const MAX_LINE_HOSTS = 5;
/** Deadline for all guests of a request; others count with all of their memory. */
const ALL_MS = 60_000;
const KEPT_MS = 600_000;
/** Longest accepted duration of a migration: over a thin line a large guest takes hours. */
const MAX_TIMEOUT_MS = 86_400_000;
const MAX_KEPT = 20_000;

export interface GuestSizesDependencies {
  readonly clients: Pick<AgentClients, 'at'>;
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>;
}

interface SizingRequest {
  readonly ask: FleetRequestAsk;
  readonly link: LinkMeasure | undefined;
  readonly measures: Measure[];
  readonly signal: AbortSignal;
}

interface CacheTime {
  readonly atMs: number;
}

interface LineMeasures {
  readonly measures: readonly Measure[];
  readonly hosts: ReadonlySet<string>;
}

export class AskedSizes implements GuestSizes {
  readonly #deps: GuestSizesDependencies;
  readonly #kept = new Map<string, CacheTime & { readonly size: GuestSize }>();
  readonly #lines = new Map<string, CacheTime & LineMeasures>();

  constructor(deps: GuestSizesDependencies) {
    this.#deps = deps;
  }

  async of(
    guests: readonly SizedGuest[],
    ask: FleetRequestAsk,
    map?: SiteLink,
  ): Promise<SizesFound> {
    const signal = AbortSignal.timeout(ALL_MS);
    const sources = Map.groupBy(guests, ({ from }) => from);
    const hosts = Map.groupBy(
      guests.filter((each) => this.#known(each, ask) === undefined),
      ({ from }) => from,
    );
    const key = JSON.stringify(ask.sites);
    const before = this.#fresh(this.#lines.get(key));
    const measures = [...(before?.measures ?? [])];
    const tried = new Set(before?.hosts);
    const asked = { ask, link: undefined, measures, signal };
    const missing = [...sources.keys()].filter((host) => !tried.has(host));
    const isMeasured = measures.length >= MAX_MEASURES || missing.length === 0;
    const isAlone = sources.size === 1;
    if (!isMeasured && !isAlone) {
      const waiting = missing.map(
        (host) => hosts.get(host) ?? (sources.get(host) ?? []).slice(0, 1),
      );
      await this.#measureLine(waiting, tried, asked);
    }
    // A single host measures the line with each of its guests.
    const told = isMeasured || !isAlone ? measuredLine(measures, map) : undefined;
    const withLine = { ...asked, link: told && linkMeasureOf(told) };
    const works = [...hosts.values()].flatMap((waiting) =>
      Array.from({ length: AT_ONCE }, () => this.#measure(waiting, withLine)),
    );
    await Promise.all(works);
    const line = told ?? (isAlone ? measuredLine(measures, map) : undefined);
    if (line !== undefined && !isMeasured)
      this.#keep(this.#lines, key, { measures, hosts: new Set([...tried, ...sources.keys()]) });
    const sizes = guests.flatMap((each) => {
      const size = this.#known(each, ask);
      return size === undefined ? [] : [[each.guest, size] as const];
    });
    return { sizes: Object.fromEntries(sizes), ...defined({ line }) };
  }

  #known(asked: SizedGuest, ask: FleetRequestAsk): GuestSize | undefined {
    return this.#fresh(this.#kept.get(keyOf(asked, ask)))?.size;
  }

  #fresh<T extends CacheTime>(kept: T | undefined): T | undefined {
    if (kept === undefined) return undefined;
    return this.#deps.clock.monotonicMs() - kept.atMs < KEPT_MS ? kept : undefined;
  }

  /**
   * A few hosts measure the line between the sites for all, one after the other: concurrent measurements each see part
   * of the line.
   */
  async #measureLine(
    hosts: readonly SizedGuest[][],
    tried: Set<string>,
    asked: SizingRequest,
  ): Promise<void> {
    const { signal, measures } = asked;
    for (const waiting of hosts.slice(0, MAX_LINE_HOSTS)) {
      if (measures.length >= MAX_MEASURES) return;
      const next = waiting.shift();
      if (next === undefined || signal.aborted) continue;
      tried.add(next.from);
      const inTime = AbortSignal.any([signal, AbortSignal.timeout(LINE_MS)]);
      const answer = await this.#plan(next, { ...asked, signal: inTime });
      // The host may answer within its own deadline.
      if (answer === 'busy' || (answer === undefined && inTime.aborted)) waiting.push(next);
    }
  }

  async #measure(waiting: SizedGuest[], asked: SizingRequest): Promise<void> {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (asked.signal.aborted) return;
      if ((await this.#plan(next, asked)) !== 'busy') continue;
      waiting.push(next);
      await this.#deps.clock.sleep(BUSY_MS, asked.signal).catch(() => {});
    }
  }

  async #plan(next: SizedGuest, asked: SizingRequest): Promise<PlanAnswer | 'busy' | undefined> {
    const api = this.#deps.clients.at(next.from);
    if (api === undefined) return undefined;
    try {
      const answer = await planned(api, next, asked);
      const { link } = answer;
      const isNew = asked.link === undefined && asked.measures.every(({ by }) => by !== next.from);
      if (isNew && link?.how === 'measured' && link.rate > 0)
        asked.measures.push({ by: next.from, link });
      const size = sizeOf(answer);
      if (size !== undefined) this.#keep(this.#kept, keyOf(next, asked.ask), { size });
      return answer;
    } catch (thrown) {
      return hasCode(thrown, 'GODWIT_OVERLOADED') ? 'busy' : undefined;
    }
  }

  #keep<T>(all: Map<string, T & CacheTime>, key: string, value: T): void {
    all.delete(key);
    all.set(key, { ...value, atMs: this.#deps.clock.monotonicMs() });
    const [oldest] = all.keys();
    if (all.size > MAX_KEPT && oldest !== undefined) all.delete(oldest);
  }
}

function planned(
  api: Api<typeof agentContract>,
  { guest, to }: SizedGuest,
  { ask: { settings }, link, signal }: SizingRequest,
): Promise<PlanAnswer> {
  const asked = { mode: 'precopy', timeoutMs: MAX_TIMEOUT_MS, compare: true } as const;
  const body = { ...settings, ...asked, guest, to, ...defined({ link }) };
  return api.plan({ body }, { deadlineMs: GUEST_MS, signal });
}

const keyOf = ({ guest, from, to }: SizedGuest, { settings }: FleetRequestAsk): string =>
  `${from} ${to} ${guest} ${JSON.stringify(settings)}`;
