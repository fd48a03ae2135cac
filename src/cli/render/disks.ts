import type { DiskProgress } from '../../protocol/disk.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import { printable } from './style.ts';

/** Copies of disks in words; what a hypervisor calls copied and to copy, which grows with what the guest writes. */

export function diskLine(disks: readonly DiskProgress[]): string {
  return disks.map(wordsOf).join(', ');
}

/** As `name, value`. */
export function diskPairs(disks: readonly DiskProgress[] = []): [string, string][] {
  return disks.map((disk) => [
    printable(disk.node),
    `${formatBytes(disk.copiedBytes)} copied of ${formatBytes(disk.totalBytes)}, ${disk.state}`,
  ]);
}

function wordsOf({ node, copiedBytes, totalBytes }: DiskProgress): string {
  const percent = totalBytes === 0 ? 100 : Math.floor((copiedBytes / totalBytes) * 100);
  return `${printable(node)} ${percent} % of ${formatBytes(totalBytes)}`;
}
