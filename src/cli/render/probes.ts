import type { Report } from '../../protocol/public/migration.ts';
import { formatDuration } from '../../protocol/quantity.ts';
import type { ProbeReport } from '../../protocol/public/probe.ts';
import { printable } from './style.ts';

const KINDS = { arp: 'ARP', icmp: 'ICMP', tcp: 'TCP', http: 'HTTP' } as const;

/** What one place saw of a guest, in words. */
export function probeWords(seen: ProbeReport): string {
  const { kind, address, gapMs, sent = 0, answered = 0, notTried } = seen;
  if (kind === undefined || gapMs === undefined)
    return `not tried: ${printable(notTried ?? 'no reason reported')}`;
  const { switchGapMs, isOpen, intervalMs = 0, ownStallMs = 0, watchedMs = 0, gapAtMs } = seen;
  const open = isOpen === true ? ' and still none' : '';
  const at = gapAtMs === undefined ? '' : ` (from ${formatDuration(gapAtMs)} on)`;
  // Only where it may explain the gap.
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

/** One line a host, as `name, value`. */
export function probePairs({ vantages = [] }: Report): [string, string][] {
  return vantages.map((each) => [printable(each.host), probeWords(each)]);
}

/** The longest gap at the switch of those that were seen, for the measurements. */
export function seenGap({ vantages = [] }: Report): [string, string][] {
  const seen = vantages.flatMap(({ host, switchGapMs: ms }) =>
    ms === undefined ? [] : [{ host, ms }],
  );
  const worst = seen.toSorted((one, other) => other.ms - one.ms)[0];
  if (worst === undefined) return [];
  return [['gap seen by other hosts', `${formatDuration(worst.ms)} (${printable(worst.host)})`]];
}
