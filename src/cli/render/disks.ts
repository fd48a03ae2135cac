import type { DiskProgress } from '../../protocol/disk.ts';
import type { Progress, Report } from '../../protocol/public/migration.ts';
import { formatBytes, formatDuration, formatRate } from '../../protocol/quantity.ts';
import { printable } from './style.ts';

/** Copies of disks in words; what a hypervisor calls copied and to copy, which grows with what the guest writes. */

export function diskLine({ disks = [], diskPace }: Pick<Progress, 'disks' | 'diskPace'>): string {
  const parts = disks.map(wordsOf);
  if (diskPace !== undefined) {
    const { rate, writeRate } = diskPace;
    parts.push(`rate ${formatRate(rate)}`);
    if (writeRate > 0) parts.push(`rewritten ${formatRate(writeRate)}`);
  }
  return parts.join(', ');
}

/** As `name, value`. */
export function diskPairs({
  disks = [],
  diskLink,
}: Pick<Report, 'disks' | 'diskLink'>): [string, string][] {
  const copies = disks.map((disk): [string, string] => [
    printable(disk.node),
    `${formatBytes(disk.copiedBytes)} copied of ${formatBytes(disk.totalBytes)}, ${disk.state}`,
  ]);
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

/** What the comparison of copied disks came to, where there was one. */
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
