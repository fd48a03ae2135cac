import type { DiskProgress } from '../../protocol/disk.ts';

/** Steps of progress that are reported, per cent: a journal holds so many records of a copy and no more. */
const STEP_PERCENT = 2;

/** Whether the copies have come so far, or changed so much, since they were last reported that it is worth a record. Pure. */
export function worthReporting(
  recorded: readonly DiskProgress[],
  now: readonly DiskProgress[],
): boolean {
  if (recorded.length !== now.length) return true;
  return now.some((disk, index) => {
    const before = recorded[index];
    if (before === undefined || before.node !== disk.node) return true;
    if (before.state !== disk.state) return true;
    return Math.abs(percentOf(disk) - percentOf(before)) >= STEP_PERCENT;
  });
}

function percentOf({ copiedBytes, totalBytes }: DiskProgress): number {
  return totalBytes === 0 ? 100 : (copiedBytes / totalBytes) * 100;
}
