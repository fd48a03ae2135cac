import { z } from 'zod';
import { hostName } from '../../protocol/names.ts';
import { later, MAX_LATER_MS, type Later, type ProbeReport } from '../../protocol/public/probe.ts';
import type { LaterAnswer } from '../../protocol/peer/probe.ts';
import type { Report } from '../../protocol/public/migration.ts';

/** Probing of a guest by other hosts after its migration: which hosts its source asks, and when. Pure. */

const ASK_MS = 30_000;
/** A host may complete its answer a little later, and is asked more often until then, ms. */
const [SOON_MS, GRACE_MS] = [1000, 15_000];
const NOTHING: Later = { sent: 0, answered: 0, gapMs: 0, forMs: 0, complete: false };
const wallMs = z.number().nonnegative();

/** Stored at the source, so that a restarted agent continues. */
export const laterState = z.object({
  version: z.literal(1),
  hosts: z.array(z.object({ host: hostName, untilMs: wallMs, later: later.optional() })).max(64),
  nextMs: wallMs,
});
export type LaterState = z.infer<typeof laterState>;
type LaterHost = LaterState['hosts'][number];

type VantageReport = Pick<Report, 'vantages' | 'endedAt'>;

/** Undefined if no host probes the guest after that migration. */
export function laterFrom(report: VantageReport): LaterState | undefined {
  const endedMs = endOf(report);
  const hosts = (report.vantages ?? []).flatMap(({ host, goesOnMs }) =>
    goesOnMs === undefined ? [] : [{ host, untilMs: endedMs + Math.min(goesOnMs, MAX_LATER_MS) }],
  );
  if (hosts.length === 0) return undefined;
  return { version: 1, hosts, nextMs: nextOf(hosts, endedMs) };
}

export function hostsToAsk({ hosts, nextMs }: LaterState, nowMs: number): string[] {
  // After a clock is set back, the wait is limited to one interval.
  if (nowMs < nextMs && nextMs - nowMs <= ASK_MS) return [];
  return hosts.filter((each) => !isOver(each)).map(({ host }) => host);
}

export function isLaterOver({ hosts }: LaterState): boolean {
  return hosts.every(isOver);
}

/** Answer of a host, or the reason for none (`silent`). */
export type HostAnswer = LaterAnswer | { readonly silent: string };

export function afterAnswers(
  state: LaterState,
  answers: ReadonlyMap<string, HostAnswer>,
  nowMs: number,
): LaterState {
  const hosts = state.hosts.map((each) => {
    const answer = answers.get(each.host);
    return answer === undefined || isOver(each) ? each : after(each, answer, nowMs);
  });
  return { version: 1, hosts, nextMs: nextOf(hosts, nowMs) };
}

function after(before: LaterHost, answer: HostAnswer, nowMs: number): LaterHost {
  const known = before.later ?? NOTHING;
  // A host that has forgotten the probe cannot answer later.
  if ('why' in answer && answer.why !== undefined)
    return { ...before, later: { ...known, ended: answer.why } };
  const seen = 'later' in answer ? (answer.later ?? before.later) : before.later;
  const next = seen === undefined ? before : { ...before, later: seen };
  if (isOver(next) || nowMs < before.untilMs + GRACE_MS) return next;
  const ended = 'silent' in answer ? answer.silent : `${before.host} did not end it in time`;
  return { ...next, later: { ...(seen ?? NOTHING), ended } };
}

function isOver({ later: seen }: LaterHost): boolean {
  return seen !== undefined && (seen.complete || seen.ended !== undefined);
}

function nextOf(hosts: readonly LaterHost[], nowMs: number): number {
  const open = hosts.filter((each) => !isOver(each)).map(({ untilMs }) => untilMs);
  // In ASK_MS, but at each host's end, and often just after it.
  return open.reduce(
    (next, untilMs) => Math.min(next, untilMs > nowMs ? untilMs : nowMs + SOON_MS),
    nowMs + ASK_MS,
  );
}

/** Adds the current answers to the report; `state` is undefined if none are kept. */
export function withLater<R extends VantageReport>(
  report: R,
  state: LaterState | undefined,
  nowMs: number,
): R {
  const { vantages } = report;
  if (vantages?.some(({ goesOnMs }) => goesOnMs !== undefined) !== true) return report;
  const known = new Map(state?.hosts.map((each) => [each.host, each.later]));
  return { ...report, vantages: vantages.map((each) => withOne(each, known, report, nowMs)) };
}

function withOne(
  probe: ProbeReport,
  known: ReadonlyMap<string, Later | undefined>,
  report: VantageReport,
  nowMs: number,
): ProbeReport {
  const { host, goesOnMs } = probe;
  if (goesOnMs === undefined) return probe;
  const reported = known.get(host);
  const lastsMs = Math.min(goesOnMs, MAX_LATER_MS);
  const isPast = nowMs > endOf(report) + lastsMs + GRACE_MS + ASK_MS;
  const isOpen = reported === undefined || (!reported.complete && reported.ended === undefined);
  const seen =
    isOpen && isPast
      ? {
          ...(reported ?? NOTHING),
          ended: `${host} was not asked for ${reported === undefined ? 'it' : 'the rest of it'} in time`,
        }
      : reported;
  return seen === undefined ? probe : { ...probe, latency: { ...probe.latency, later: seen } };
}

/** States of a site check that are not final; `returned` becomes final once the report names the migration. */
const GOES_ON: ReadonlySet<string> = new Set(['watching', 'returning', 'returned']);

export function maySayMore({
  outcome,
  vantages = [],
  settings,
  siteCheck,
  returned,
}: Pick<Report, 'outcome' | 'vantages' | 'settings' | 'siteCheck' | 'returned'>): boolean {
  if (outcome !== 'done') return false;
  const isProbed = vantages.some(({ goesOnMs, latency }) => {
    const seen = latency?.later;
    return goesOnMs !== undefined && seen?.complete !== true && seen?.ended === undefined;
  });
  const isChecked = settings.returnIfUnhealthy !== undefined && returned === undefined;
  return isProbed || (isChecked && (siteCheck === undefined || GOES_ON.has(siteCheck.state)));
}

function endOf({ endedAt }: VantageReport): number {
  return endedAt === undefined ? 0 : Date.parse(endedAt);
}
