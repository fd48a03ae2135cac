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

/** Less than this shows the connection's start rather than the link. */
const MIN_BYTES = 32 * 1024 * 1024;
/** Of a guest that sent less than this share of its memory, pages of zeros were looked at for much of the time. */
const MIN_SHARE = 0.25;
/** So many migrations are looked at, the latest first: a link changes. */
const LOOKED_AT = 32;

/** A migration that came to so many times what was measured before it shows that the measurement was wrong. */
const REFUTES = 1.25;

type RateLesson = Omit<Lesson, 'phases' | 'move' | 'diskLatency' | 'startedAt'>;

/**
 * Bytes/s that the newest of these migrations to one host (newest first) came to from hypervisor to hypervisor, where nothing but the
 * link and the hypervisor held it back: no cap, no compression, not the wire, whose processors may be the slower. It is
 * what a migration comes to that takes the native path again. Undefined where none shows it. Pure.
 */
export function seenLinkRate(reports: Iterable<RateLesson>): number | undefined {
  for (const report of reports) {
    const { settings, stream, bytes = 0, memoryBytes = 0, throughput = 0, outcome, wire } = report;
    const { compress } = { ...settings, ...stream };
    const isFree = !wasCapped(report) && compress === 'none';
    // In post-copy the last of memory follows in the order in which the guest asks for it.
    const isMuch = bytes >= Math.max(MIN_BYTES, memoryBytes * MIN_SHARE);
    // Of a rehearsal that changed its mover nobody may know that it went by the wire.
    const isWhole =
      outcome === 'rehearsed'
        ? report.rehearsal?.switches === 'precopy' && report.takeovers === 0
        : outcome === 'done' && report.finished === 'precopy';
    if (wire === undefined && isFree && isMuch && isWhole && throughput > 0) return throughput;
  }
  return undefined;
}

/** The known rate of a link, or why nobody measured it. */
export type LinkKnown = Pick<PlanAnswer, 'link' | 'linkUnmeasured'>;

/** Rates of a link that nobody measured just now, bytes/s. */
interface OtherRates {
  /** As the configuration has it. */
  readonly configured: number | undefined;
  /** What the newest earlier migration came to. */
  readonly seen: number | undefined;
  /** The same of those that were asked for after the link was measured. */
  readonly seenSince?: number | undefined;
}

/** Measured, or as the configuration or an earlier migration has it. */
export function linkKnown(
  metered: MeterResult,
  { configured, seen, seenSince = 0 }: OtherRates,
): LinkKnown {
  if ('link' in metered) {
    const { link } = metered;
    // What held the measurement back was the link itself: an older migration says nothing of it now.
    if (link.isLeast !== true && seenSince <= link.rate * REFUTES) return { link };
    // The moment was that of the measurement.
    const { at: _at, isLeast: _isLeast, ...found } = link;
    // Two agents were slower than the link, and so may a migration have been.
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
  // Its hypervisors may have been slower than the link.
  return how === 'seen' ? { rate, how, isLeast: true } : { rate, how };
}

/** A measurement gives itself less, ms. */
const MEASURED_MS = 30_000;

export interface LinkRatesDependencies {
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly config: AgentConfig;
  readonly store: MigrationStore;
  readonly peers: Pick<Peers, 'address'>;
  /** Absent: what is configured or was seen counts. */
  readonly linkMeter?: Pick<LinkMeter, 'measure' | 'known'>;
}

/** What this agent knows of the links to other hosts. */
export class LinkRates {
  readonly #deps: LinkRatesDependencies;
  readonly #lessons: Lessons;

  constructor(deps: LinkRatesDependencies) {
    this.#deps = deps;
    this.#lessons = new Lessons(deps.store);
  }

  /**
   * What the newest migration to that host that shows its link came to, bytes/s; undefined where none does. `since` (ISO 8601): only
   * of those that were asked for since then, and of none by a manager, whose hypervisors may have a link of their own.
   */
  seen(to: string, since?: string): number | undefined {
    // What says by itself that it was held back is not read for it.
    const free = this.#latest((request) => {
      if (request.side !== 'source' || request.toHost !== to) return false;
      if (since !== undefined && isManagedRequest(request)) return false;
      const { maxBandwidth, linkShare } = request.request;
      return maxBandwidth === undefined && linkShare === undefined;
    });
    return seenLinkRate(since === undefined ? free : sinceThen(free, since));
  }

  /** What this host's own migrations took around their memory, ms; `assumedMs` where none shows it. */
  aroundMs(assumedMs: number, driver?: string): number {
    return aroundMs(
      this.#latest((request) => isOf(request, driver)),
      assumedMs,
    );
  }

  /** The latest migrations of this host to that one, the newest first. */
  movesTo(to: string, driver?: string): OwnMove[] {
    const went = this.#latest((request) => isOf(request, driver) && request.toHost === to);
    return [...went].flatMap(({ move }) => move ?? []);
  }

  /** How long the guests' own requests took in the latest migrations of this host that copied disks. */
  diskLatencies(): DiskLatency[] {
    const left = this.#latest(({ side }) => side === 'source');
    return [...left].flatMap(({ diskLatency }) => diskLatency);
  }

  /** What the latest migrations of that kind say, the newest first. */
  #latest(isOne: (request: Migration['request']) => boolean): Iterable<Lesson> {
    const all = this.#deps.store.all().filter(({ request }) => isOne(request));
    return this.#lessons.of(all.slice(-LOOKED_AT).toReversed());
  }

  /** What is known of the link without measuring it now. */
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

  /**
   * Measures a link that is not configured, unless it was measured in the last minutes or is in use: `auto` chooses by it, and
   * what an earlier migration came to may be the rate of its processors. It is not measured either where a migration of the
   * last minutes was faster than any link of 1 Gbit/s: that is known then. Never rejects.
   */
  async measured(to: string): Promise<void> {
    const { config, clock } = this.#deps;
    if (config.wire.rates[to] !== undefined) return;
    const since = new Date(clock.wallMs() - LINK_KEPT_MS).toISOString();
    if ((this.seen(to, since) ?? 0) >= MORE_THAN_GIGABIT) return;
    await this.known(to, AbortSignal.timeout(MEASURED_MS)).catch(() => undefined);
  }

  /**
   * What the share of the link comes to that memory may take, bytes/s; undefined where none is asked for. GODWIT_LINK_UNKNOWN
   * where nobody knows what the link carries.
   */
  async shareOf({ linkShare, to }: MigrationRequest): Promise<number | undefined> {
    if (linkShare === undefined) return undefined;
    const { link, linkUnmeasured = '' } = await this.known(to, AbortSignal.timeout(MEASURED_MS));
    if (link !== undefined) return shareOfLink(linkShare, link.rate);
    const from = this.#deps.config.name;
    throw godwitError('GODWIT_LINK_UNKNOWN', { from, to, why: linkUnmeasured });
  }
}

/** Those that were asked for then or later: `lessons` has the newest first. `since`: ISO 8601 in UTC, by this host's clock. */
function* sinceThen(lessons: Iterable<Lesson>, since: string): Generator<Lesson> {
  for (const lesson of lessons) {
    if (lesson.startedAt < since) return;
    yield lesson;
  }
}

/** Left this host by that driver, or by any: a container's downtime says nothing of a virtual machine's. */
function isOf(request: Migration['request'], driver: string | undefined): boolean {
  return request.side === 'source' && (driver === undefined || request.handle.driver === driver);
}
