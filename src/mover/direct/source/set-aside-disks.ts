import { rename, rm } from 'node:fs/promises';
import { isBlockDevice } from '../../../disks/proof/devices.ts';
import type { SourceState, StepFacts } from '../../../migration/direct/source-state.ts';

/** The name of an image that is no guest's disk any more. */
export function asideOf(file: string, migration: string): string {
  return `${file}.moved-${migration}`;
}

/**
 * The source's own images of disks that were copied. Until the guest is seen to run elsewhere they are its disks; then
 * they are renamed, so that nobody takes them for that any more, and removed unless they are to be kept. Devices stay as they
 * are: their names are the host's. May run twice.
 */
export async function giveUpDisks(
  { plan, known }: Pick<SourceState, 'plan' | 'known'>,
  migration: string,
): Promise<StepFacts> {
  const { copied = [] } = known;
  // What may not be the same at the other host is not removed here.
  const isDoubtful = known.diskCheck !== undefined && known.diskCheck.verdict !== 'equal';
  const isKept = plan.settings.keepSource === true || isDoubtful;
  const devices: string[] = [];
  const files: string[] = [];
  for (const file of copied) ((await isBlockDevice(file)) ? devices : files).push(file);
  for (const file of files) {
    const aside = asideOf(file, migration);
    await rename(file, aside).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    if (!isKept) await rm(aside, { force: true });
  }
  if (copied.length === 0) return {};
  const what = isKept ? `kept as NAME.moved-${migration}` : 'removed';
  const stays =
    devices.length === 0
      ? []
      : [`left as they are, and no disks of the guest’s any more: ${devices.join(', ')}`];
  const reported = files.length === 0 ? stays : [`${what}: ${files.join(', ')}`, ...stays];
  const evidence = reported.join('; ').slice(0, 4096);
  return { checks: [{ name: 'disks', side: 'source', verdict: 'pass', evidence }] };
}
