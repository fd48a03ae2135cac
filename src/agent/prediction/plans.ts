import { systemClock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { godwitError } from '../../errors.ts';
import { offerOf } from '../../host/wire.ts';
import { wireObstacle } from '../../migration/prediction/data-path.ts';
import { expectedLatencies } from '../../migration/prediction/disk-latency.ts';
import {
  adviceFor,
  contradiction,
  others,
  planned,
  unpredicted,
  type PlanFacts,
} from '../../migration/prediction/plan.ts';
import { judgedAgain } from '../../migration/preflight/judge.ts';
import { byAgents, judgeLink } from '../../migration/preflight/link.ts';
import { verdictOf } from '../../migration/preflight/rank.ts';
import { leftOfLimits } from '../../migration/preflight/limits.ts';
import { defined } from '../../protocol/defined.ts';
import {
  migrationRequest,
  streamModeOf,
  type MigrationRequest,
} from '../../protocol/public/migration.ts';
import type { CheckedHost } from '../../protocol/public/check.ts';
import type { PlanAnswer, PlanRequest } from '../../protocol/public/plan.ts';
import { comparableRate } from '../../migration/prediction/curve.ts';
import {
  prediction,
  type GuestMeasure,
  type LinkMeasure,
  type Prediction,
} from '../../protocol/public/prediction.ts';
import type { GuestLoads } from '../guests/guest-loads.ts';
import type { LinkKnown } from '../host/link-rate.ts';
import type { Outgoing } from '../migrations/outgoing.ts';
import type { Checks, Examination } from '../preflight/checks.ts';
import { withWorkload } from '../guests/workload.ts';
import type { PredictionCache } from './prediction-cache.ts';
import { assumedAroundMs } from '../../migration/prediction/own-times.ts';
import { balloonedMix } from '../../migration/prediction/ballooned-mix.ts';
import { shareOfLink, withShare } from '../../migration/prediction/link-share.ts';
import { asItBegins, beginsAtMs, capOver } from '../../migration/steering/timetable.ts';

export interface PlansDependencies {
  readonly config: AgentConfig;
  readonly checks: Pick<Checks, 'examination'>;
  readonly kept: Pick<PredictionCache, 'keep'>;
  readonly outgoing: Pick<Outgoing, 'links' | 'labelled' | 'workloadOf'>;
  readonly guestLoads: Pick<GuestLoads, 'of' | 'dirtied'>;
}

const NO_MEMORY =
  'A cold move sends no memory: it takes as long as the guest’s own shutdown and start, and its disks where they are copied, which is not predicted.';

/** Checks a migration, and measures the guest and then the link. Begins nothing. */
export class Plans {
  readonly #deps: PlansDependencies;

  constructor(deps: PlansDependencies) {
    this.#deps = deps;
  }

  /**
   * Throws if there is no such guest or host, and GODWIT_USAGE with the calculation if its limits contradict each
   * other.
   */
  async answer(asked: PlanRequest, signal: AbortSignal): Promise<PlanAnswer> {
    const { config, checks, outgoing, kept, guestLoads } = this.#deps;
    const asOf = { wallMs: systemClock.wallMs(), monotonicMs: systemClock.monotonicMs() };
    const { compare = false, link, ...settings } = asked;
    // Planned like the migration itself, whose labels also name devices.
    const request = outgoing.labelled(migrationRequest.parse(settings));
    const linkOf = (): Promise<LinkKnown> => outgoing.links.known(request.to, signal);
    // The measured rate chooses the path.
    const before = link === undefined && request.path === 'auto' ? await linkOf() : undefined;
    const examination = await checks.examination(request, signal);
    const { found } = examination;
    // Measured after the checks, whose load on both hosts would distort the rate.
    const known = link === undefined ? (before ?? (await linkOf())) : { link };
    const { measured, unmeasured } = found ?? {};
    const rate = measured === undefined ? undefined : comparableRate(measured);
    if (rate !== undefined) guestLoads.dirtied(request.guest, rate);
    const host =
      link === undefined
        ? withWorkload(
            withLink(examination, known.link, measured?.memoryBytes, request.path),
            outgoing.workloadOf(request),
            { copiesDisks: found?.copiesDisks, link: known.link },
          )
        : examination.host;
    const load = guestLoads.of(request.guest);
    const answer: PlanAnswer = {
      guest: request.guest,
      from: config.name,
      host,
      ...defined({ measured, unmeasured }),
      ...(load.hours.length === 0 ? {} : { load }),
      ...known,
      advice: [],
    };
    if (request.mode === 'cold') return { ...answer, advice: [NO_MEMORY] };
    const why = unpredicted(examination.capabilities, streamModeOf(request.mode));
    if (why !== undefined) return { ...answer, advice: [`${why}.`] };
    if (measured === undefined || host.verdict === 'refuse') return answer;
    const facts = this.#facts(request, examination, measured, known.link, asOf.wallMs);
    const latency = this.#latency(examination, known.link, facts.settings);
    const option = { ...planned(facts), ...latency };
    const against = contradiction(facts, option);
    const { maxBandwidth: own } = withShare(request, shareOf(request, known.link));
    const beginMs = beginsAtMs(request, asOf.wallMs);
    const capped = capOver(config.limits.bandwidth, beginMs, { host: config.name, own });
    if (against !== undefined && capped(facts.settings.timeoutMs)?.changes !== true) {
      const what = [against.what, capped(0)?.words ?? []].flat().join('; ');
      throw godwitError('GODWIT_USAGE', { what }, { hint: against.hint });
    }
    const rest = others(facts);
    // A plan with a given link rate is not kept: reports are compared with this host's measurements.
    if (link === undefined)
      kept.keep(
        request,
        examination.handle,
        { prediction: prediction.parse(option), measured },
        asOf.monotonicMs,
      );
    const words = capped(option.totalMs.high)?.words ?? [];
    const advice = [adviceFor(facts, option, rest), words].flat();
    return { ...answer, prediction: option, ...(compare ? { others: rest } : {}), advice };
  }

  #latency(
    { found }: Examination,
    link: LinkMeasure | undefined,
    { maxBandwidth }: PlanFacts['settings'],
  ): Pick<Prediction, 'diskLatency'> {
    const { diskLatency } = found ?? {};
    if (diskLatency === undefined) return {};
    const own = this.#deps.outgoing.links.diskLatencies();
    return { diskLatency: expectedLatencies(diskLatency, { link, maxBandwidth, own }) };
  }

  #facts(
    request: MigrationRequest,
    { found, capabilities, driver }: Examination,
    { memoryBytes, pages, curve, mix, hintedFreeBytes }: GuestMeasure,
    link: LinkMeasure | undefined,
    nowMs: number,
  ): PlanFacts {
    const { config, outgoing, guestLoads } = this.#deps;
    const { guest, to, mode, streams, compress, compressLevel } = request;
    const shared = withShare(request, shareOf(request, link));
    const own = offerOf(config, guest, to);
    const {
      path,
      offer,
      reachable = false,
      copiesDisks = false,
      diskBytes,
      balloon,
      stateBytes = 0,
      startedMs,
    } = found ?? {};
    // Tasks of managers and CRIU also depend on how fast the host starts processes.
    const isByProcesses = capabilities.shape !== 'managed' && capabilities.rounds !== 'content';
    const { writtenBytesPerS } = guestLoads.of(guest).now ?? {};
    const isTaken = mix !== undefined && balloon !== undefined;
    const plain = { streams: 1, compress: 'none' } as const;
    const obstacle = wireObstacle(plain, { own, offer, reachable });
    return {
      memoryBytes,
      pages,
      curve,
      disks: diskBytes === undefined ? undefined : { bytes: diskBytes, writtenBytesPerS },
      mix: isTaken ? balloonedMix(mix, balloon, memoryBytes) : mix,
      // Memory that the balloon will take is no longer free.
      hintedFreeBytes: isTaken ? undefined : hintedFreeBytes,
      link,
      aroundMs: outgoing.links.aroundMs(
        assumedAroundMs(isByProcesses ? startedMs : undefined),
        driver,
      ),
      ownMoves: outgoing.links.movesTo(to, driver),
      processors: offer === undefined ? [own] : [own, offer],
      settings: {
        ...asItBegins(shared, config.limits.bandwidth, nowMs),
        timeoutMs: Math.max(1, leftOfLimits(request, nowMs)),
        // Managers have no such setting; their driver switches after one pass over memory.
        ...(capabilities.shape === 'managed' ? { hybridRounds: 1 } : {}),
      },
      asked: {
        mode: streamModeOf(mode),
        path: path?.takes ?? (request.path === 'wire' ? 'wire' : 'native'),
        stream: path?.stream ?? { streams, compress, compressLevel },
      },
      capabilities,
      hasWire: obstacle === undefined,
      knowsGuest: own.knowsGuest && offer?.knowsGuest === true,
      copiesDisks,
      stateBytes,
    };
  }
}

function withLink(
  { host, capabilities }: Pick<Examination, 'host' | 'capabilities'>,
  link: LinkMeasure | undefined,
  memoryBytes: number | undefined,
  path: MigrationRequest['path'],
): CheckedHost {
  if (link === undefined) return host;
  const judged = judgeLink({ destination: { name: host.to }, link, memoryBytes });
  const isByAgents = capabilities.shape === 'managed' && path !== 'wire';
  const found = isByAgents ? judged.map(byAgents) : judged;
  const checks = judgedAgain(host.checks, 'link', found);
  return { ...host, verdict: verdictOf(checks), checks };
}

function shareOf(
  { linkShare }: MigrationRequest,
  link: LinkMeasure | undefined,
): number | undefined {
  return linkShare === undefined || link === undefined
    ? undefined
    : shareOfLink(linkShare, link.rate);
}
