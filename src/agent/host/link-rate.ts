import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { godwitError } from '../../errors.ts';
import { shareOfLink, wasCapped } from '../../migration/prediction/link-share.ts';
import { MORE_THAN_GIGABIT } from '../../migration/prediction/parameters.ts';
import type { OwnMove } from '../../migration/prediction/own-moves.ts';
import { aroundMs } from '../../migration/prediction/own-times.ts';
import { defined } from '../../protocol/defined.ts';
import { isManagedRequest } from '../../protocol/mover/request.ts';
import { LINK_KEPT_MS } from '../../protocol/peer/link.ts';
import type { DiskLatency } from '../../protocol/disk.ts';
import type { MigrationRequest } from '../../protocol/public/migration.ts';
import type { PlanAnswer } from '../../protocol/public/plan.ts';
import type { LinkMeasure } from '../../protocol/public/prediction.ts';
import { Lessons, type Lesson } from '../migrations/lessons.ts';
import type { Peers } from '../peers.ts';
import type { LinkMeter, MeterResult } from '../prediction/link-meter.ts';
import type { Migration, MigrationStore } from '../migrations/store.ts';

/** A smaller transfer measures the start of the connection, not the link. */
const MIN_BYTES = 32 * 1024 * 1024;
/** A guest that sent a smaller share of its memory spent much of the time on zero pages. */
const MIN_SHARE = 0.25;
const LOOKED_AT = 32;

/** A migration that exceeded the earlier measurement by this factor refutes it. */
const REFUTES = 1.25;

type RateLesson = Omit<Lesson, 'phases' | 'move' | 'diskLatency' | 'startedAt'>;

/**
 * Throughput of the newest migration that was limited only by the link and the hypervisors: no cap, no compression, no
 * wire, whose processors may be slower. Bytes/s, for moves by the native path. `reports` has moves to one host, newest
 * first. Pure.
 */
export function seenLinkRate(reports: Iterable<RateLesson>): number | undefined {
  for (const report of reports) {
    const { settings, stream, bytes = 0, memoryBytes = 0, throughput = 0, outcome, wire } = report;
    const { compress } = { ...settings, ...stream };
    const isFree = !wasCapped(report) && compress === 'none';
    // In post-copy the guest's accesses decide the order of the last pages.
    const isMuch = bytes >= Math.max(MIN_BYTES, memoryBytes * MIN_SHARE);
    // The wire may have been used by a rehearsal whose mover was replaced.
    const isWhole =
      outcome === 'rehearsed'
        ? report.rehearsal?.switches === 'precopy' && report.takeovers === 0
        : outcome === 'done' && report.finished === 'precopy';
    if (wire === undefined && isFree && isMuch && isWhole && throughput > 0) return throughput;
  }
  return undefined;
}

export type LinkKnown = Pick<PlanAnswer, 'link' | 'linkUnmeasured'>;

/** Rates of a link that was not measured just now, bytes/s. */
interface OtherRates {
  readonly configured: number | undefined;
  readonly seen: number | undefined;
  /** Rate seen in migrations requested after the measurement. */
  readonly seenSince?: number | undefined;
}

export function linkKnown(
  metered: MeterResult,
  { configured, seen, seenSince = 0 }: OtherRates,
): LinkKnown {
  if ('link' in metered) {
    const { link } = metered;
    // The link itself limited the measurement, so an older migration does not override it.
    if (link.isLeast !== true && seenSince <= link.rate * REFUTES) return { link };
    const { at: _at, isLeast: _isLeast, ...found } = link;
    // Both agents were slower than the link, and a migration may have been, too.
    if (configured !== undefined && configured >= Math.max(seen ?? 0, link.rate)) {
      return { link: { ...found, rate: configured, how: 'configured' } };
    }
    if (seen === undefined || seen <= link.rate) return { link };
    return { link: { ...found, rate: seen, how: 'seen', isLeast: true } };
  }
  const linkUnmeasured = metered.why.slice(0, 4096);
  const link = unmeasured(configured, 'configured') ?? unmeasured(seen, 'seen');
  return { ...defined({ link }), linkUnmeasured };
}

function unmeasured(rate: number | undefined, how: LinkMeasure['how']): LinkMeasure | undefined {
  if (rate === undefined) return undefined;
  return how === 'seen' ? { rate, how, isLeast: true } : { rate, how };
}

const MEASURED_MS = 30_000;

export interface LinkRatesDependencies {
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly config: AgentConfig;
  readonly store: MigrationStore;
  readonly peers: Pick<Peers, 'address'>;
  readonly linkMeter?: Pick<LinkMeter, 'measure' | 'known'>;
}

export class LinkRates {
  readonly #deps: LinkRatesDependencies;
  readonly #lessons: Lessons;

  constructor(deps: LinkRatesDependencies) {
    this.#deps = deps;
    this.#lessons = new Lessons(deps.store);
  }

  /**
   * Throughput of the newest migration to that host that shows its link, bytes/s. `since` (ISO 8601) counts only
   * migrations requested since then, and none by a manager, whose hypervisors may use another link.
   */
  seen(to: string, since?: string): number | undefined {
    const free = this.#latest((request) => {
      if (request.side !== 'source' || request.toHost !== to) return false;
      if (since !== undefined && isManagedRequest(request)) return false;
      const { maxBandwidth, linkShare } = request.request;
      return maxBandwidth === undefined && linkShare === undefined;
    });
    return seenLinkRate(since === undefined ? free : sinceThen(free, since));
  }

  /** Median time that this host's migrations took around their memory, ms; `assumedMs` if there are none. */
  aroundMs(assumedMs: number, driver?: string): number {
    return aroundMs(
      this.#latest((request) => isOf(request, driver)),
      assumedMs,
    );
  }

  movesTo(to: string, driver?: string): OwnMove[] {
    const went = this.#latest((request) => isOf(request, driver) && request.toHost === to);
    return [...went].flatMap(({ move }) => move ?? []);
  }

  diskLatencies(): DiskLatency[] {
    const left = this.#latest(({ side }) => side === 'source');
    return [...left].flatMap(({ diskLatency }) => diskLatency);
  }

  #latest(isOne: (request: Migration['request']) => boolean): Iterable<Lesson> {
    const all = this.#deps.store.all().filter(({ request }) => isOne(request));
    return this.#lessons.of(all.slice(-LOOKED_AT).toReversed());
  }

  now(to: string): LinkMeasure | undefined {
    const link = this.#deps.linkMeter?.known(to);
    return this.#weighed(to, link === undefined ? { why: '' } : { link }).link;
  }

  /** Measures the link, unless it was measured in the last minutes or is in use. */
  async known(to: string, signal: AbortSignal): Promise<LinkKnown> {
    const { config, linkMeter, peers } = this.#deps;
    const why = `${config.name} has no agent to ask at ${to}`;
    const metered =
      linkMeter === undefined || peers.address(to) === undefined
        ? { why }
        : await linkMeter.measure(to, signal);
    return this.#weighed(to, metered);
  }

  #weighed(to: string, metered: MeterResult): LinkKnown {
    const measuredAt = 'link' in metered ? metered.link.at : undefined;
    return linkKnown(metered, {
      configured: this.#deps.config.wire.rates[to],
      seen: this.seen(to),
      seenSince: measuredAt === undefined ? undefined : this.seen(to, measuredAt),
    });
  }

  /** Like `known`, unless the rate is configured or a recent migration was faster than 1 Gbit/s. Never rejects. */
  async measured(to: string): Promise<void> {
    const { config, clock } = this.#deps;
    if (config.wire.rates[to] !== undefined) return;
    const since = new Date(clock.wallMs() - LINK_KEPT_MS).toISOString();
    if ((this.seen(to, since) ?? 0) >= MORE_THAN_GIGABIT) return;
    await this.known(to, AbortSignal.timeout(MEASURED_MS)).catch(() => undefined);
  }

  /**
   * Rate of the requested link share for memory, bytes/s; undefined if no share is requested. GODWIT_LINK_UNKNOWN if
   * the link's rate is unknown.
   */
  async shareOf({ linkShare, to }: MigrationRequest): Promise<number | undefined> {
    if (linkShare === undefined) return undefined;
    const { link, linkUnmeasured = '' } = await this.known(to, AbortSignal.timeout(MEASURED_MS));
    if (link !== undefined) return shareOfLink(linkShare, link.rate);
    const from = this.#deps.config.name;
    throw godwitError('GODWIT_LINK_UNKNOWN', { from, to, why: linkUnmeasured });
  }
}

/** Lessons of migrations requested at `since` (ISO 8601, UTC) or later. `lessons` is newest first. */
function* sinceThen(lessons: Iterable<Lesson>, since: string): Generator<Lesson> {
  for (const lesson of lessons) {
    if (lesson.startedAt < since) return;
    yield lesson;
  }
}

/** Downtimes of containers and virtual machines are not comparable. */
function isOf(request: Migration['request'], driver: string | undefined): boolean {
  return request.side === 'source' && (driver === undefined || request.handle.driver === driver);
}
