import type { Report } from '../protocol/public/migration.ts';
import { formatDuration } from '../protocol/quantity.ts';
import type { ProbeReport } from '../protocol/public/probe.ts';
import { printable } from './style.ts';

const KINDS = { arp: 'ARP', icmp: 'ICMP', tcp: 'TCP', http: 'HTTP' } as const;

export function probeWords(seen: ProbeReport): string {
  const { kind, address, gapMs, sent = 0, answered = 0, notTried } = seen;
  if (kind === undefined || gapMs === undefined)
    return `not tried: ${printable(notTried ?? 'no reason reported')}`;
  const { switchGapMs, isOpen, intervalMs = 0, ownStallMs = 0, watchedMs = 0, gapAtMs } = seen;
  const open = isOpen === true ? ' and still none' : '';
  const at = gapAtMs === undefined ? '' : ` (from ${formatDuration(gapAtMs)} on)`;
  const own =
    ownStallMs > intervalMs * 2 ? `, was stalled itself for ${formatDuration(ownStallMs)}` : '';
  const atSwitch =
    switchGapMs === undefined ? '' : `${formatDuration(switchGapMs)} at the switch, at most `;
  const waited = latencyWords(seen);
  return (
    `${atSwitch}${formatDuration(gapMs)} without an answer${open}${at}: ${KINDS[kind]} to ${address ?? '?'} ` +
    `each ${formatDuration(intervalMs)}, ${answered} answers to ${sent} in ${formatDuration(watchedMs)}${own}${waited}`
  );
}

/** Answers after the migration; undefined if not requested. */
function laterWords({ goesOnMs, goesNot, latency = {} }: ProbeReport): string | undefined {
  if (goesNot !== undefined) return `not probed: ${printable(goesNot)}`;
  if (goesOnMs === undefined) return undefined;
  const { later } = latency;
  const meant = formatDuration(goesOnMs);
  if (later === undefined) return `nothing known yet; it is probed for ${meant}`;
  const { waits, sent, answered, gapMs, forMs, complete, ended } = later;
  const until = ended === undefined ? ' so far' : ` only: ${printable(ended)}`;
  const time = complete ? meant : `${formatDuration(forMs)} of ${meant}${until}`;
  if (waits === undefined) return `no answer to ${sent} in ${time}`;
  return (
    `p50 and p99 of its answers ${formatDuration(waits.p50Ms)} and ${formatDuration(waits.p99Ms)}, ` +
    `at most ${formatDuration(gapMs)} without one, ${answered} answers to ${sent} in ${time}`
  );
}

/** `; answers in 1 ms, 3 ms (p50, p99) before, ...`. */
function latencyWords({ latency = {} }: Pick<ProbeReport, 'latency'>): string {
  const { before, during, after } = latency;
  const parts = Object.entries({ before, during, after }).flatMap(([when, waits]) =>
    waits === undefined
      ? []
      : [`${when} ${formatDuration(waits.p50Ms)} and ${formatDuration(waits.p99Ms)}`],
  );
  return parts.length === 0 ? '' : `; p50 and p99 of its answers: ${parts.join(', ')}`;
}

/** One line per host, as `name, value`, and one for the time after the migration. */
export function probePairs({ vantages = [] }: Report): [string, string][] {
  return vantages.flatMap((each): [string, string][] => {
    const host = printable(each.host);
    const later = laterWords(each);
    return [[host, probeWords(each)], ...(later === undefined ? [] : [pair(host, later)])];
  });
}

function pair(host: string, later: string): [string, string] {
  return [`${host}, afterwards`, later];
}

/** The longest gap at the switch, or at any moment if none is known for the switch. */
export function seenGap({ vantages = [] }: Report): [string, string][] {
  const seen = vantages.flatMap(({ host, switchGapMs: ms }) =>
    ms === undefined ? [] : [{ host, ms }],
  );
  const worst = seen.toSorted((one, other) => other.ms - one.ms)[0];
  if (worst === undefined) return longestGap(vantages);
  return [['gap seen by other hosts', `${formatDuration(worst.ms)} (${printable(worst.host)})`]];
}

function longestGap(vantages: NonNullable<Report['vantages']>): [string, string][] {
  const all = vantages.flatMap(({ host, gapMs: ms }) => (ms === undefined ? [] : [{ host, ms }]));
  const worst = all.toSorted((one, other) => other.ms - one.ms)[0];
  if (worst === undefined) return [];
  return [['longest gap seen by probes', `${formatDuration(worst.ms)} (${printable(worst.host)})`]];
}
