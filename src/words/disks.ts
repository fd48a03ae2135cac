import type { DiskProgress, DiskRequests, RequestTimes } from '../protocol/disk.ts';
import type { Progress, Report } from '../protocol/public/migration.ts';
import { formatBytes, formatDuration, formatRate } from '../protocol/quantity.ts';
import { printable } from './style.ts';

/** Progress of disk copies in words; the hypervisor's total grows with the guest's writes. */

export function diskLine({ disks = [], diskPace }: Pick<Progress, 'disks' | 'diskPace'>): string {
  const parts = disks.map(wordsOf);
  if (diskPace !== undefined) {
    const { rate, writeRate } = diskPace;
    parts.push(`rate ${formatRate(rate)}`);
    if (writeRate > 0) parts.push(`rewritten ${formatRate(writeRate)}`);
  }
  return parts.join(', ');
}

export function diskPairs({
  disks = [],
  diskLink,
  diskLatency,
}: Pick<Report, 'disks' | 'diskLink' | 'diskLatency'>): [string, string][] {
  const copies = disks.map((disk): [string, string] => [
    printable(disk.node),
    `${formatBytes(disk.copiedBytes)} copied of ${formatBytes(disk.totalBytes)}, ${disk.state}`,
  ]);
  copies.push(...latencyPairs({ diskLatency }));
  if (diskLink === undefined) return copies;
  const { sentBytes, linkBytes, cuts, longestCutMs, sessions } = diskLink;
  const pairs: [string, string][] = [
    ...copies,
    ['sent by the hypervisor', formatBytes(sentBytes)],
    ['over the links', formatBytes(linkBytes)],
  ];
  if (cuts > 0) pairs.push(['cuts', `${cuts}, the longest of ${formatDuration(longestCutMs)}`]);
  if (sessions > 1) pairs.push(['sessions', String(sessions)]);
  return pairs;
}

function latencyPairs({ diskLatency = [] }: Pick<Report, 'diskLatency'>): [string, string][] {
  return diskLatency.flatMap(({ node, before, during }) =>
    [
      { when: 'before', found: before },
      { when: 'during', found: during },
    ].flatMap(({ when, found }): [string, string][] =>
      found === undefined
        ? []
        : [[`the guest’s requests to ${printable(node)} ${when} its copy`, requestsText(found)]],
    ),
  );
}

export function requestsText({ overMs, reads, writes, flushes }: DiskRequests): string {
  const kinds = Object.entries({ reads, writes, flushes });
  const parts = kinds.flatMap(([kind, times]) =>
    times === undefined ? [] : [timesText(kind, times)],
  );
  const over = overMs === undefined ? '' : `, in ${formatDuration(overMs)}`;
  return parts.join(', ') + over;
}

function timesText(kind: string, { count, p50Ms, p99Ms, isLeast }: RequestTimes): string {
  if (p50Ms === undefined || p99Ms === undefined) return `no ${kind}`;
  const least = isLeast === true ? 'at least ' : '';
  return `${count} ${kind} (p50 ${formatDuration(p50Ms)}, p99 ${least}${formatDuration(p99Ms)})`;
}

export function checkPairs({ diskCheck: check }: Pick<Report, 'diskCheck'>): [string, string][] {
  if (check === undefined) return [];
  const { verdict, comparedBytes, excludedBytes, differentBytes, tookMs } = check;
  const parts = [
    verdict,
    `${formatBytes(comparedBytes)} the same`,
    `${formatBytes(excludedBytes)} written to since`,
    ...(differentBytes === 0 ? [] : [`${formatBytes(differentBytes)} not the same`]),
    `in ${formatDuration(tookMs)}`,
  ];
  return [['compared with the source', parts.join(', ')]];
}

function wordsOf({ node, copiedBytes, totalBytes }: DiskProgress): string {
  const percent = totalBytes === 0 ? 100 : Math.floor((copiedBytes / totalBytes) * 100);
  return `${printable(node)} ${percent} % of ${formatBytes(totalBytes)}`;
}
