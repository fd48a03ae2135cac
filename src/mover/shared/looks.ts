import { withDeadline } from '../../deadline.ts';
import type { WrittenFiles } from '../../port/disks.ts';
import type { DriverInventory } from '../../port/inventory.ts';
import { toGodwitError } from '../../errors.ts';
import {
  judgeWriters,
  looked,
  notLooked,
  type LookName,
  type VerificationCheck,
} from '../../migration/report/verified.ts';
import type { Check } from '../../protocol/public/migration.ts';

/** The caller waits little longer than this, ms. */
export const LOOK_MS = 6000;

/** Does not wait for a look that ignores its signal, such as a file on hung storage. */
export async function orNot(
  name: LookName,
  look: (signal: AbortSignal) => Promise<VerificationCheck[]>,
): Promise<VerificationCheck[]> {
  try {
    return await withDeadline(`the look at ${name}`, LOOK_MS, undefined, look);
  } catch (thrown) {
    return [notLooked(name, 'destination', toGodwitError(thrown).message)];
  }
}

/** `written`: files that the guest writes to here; undefined if unknown. */
export async function disksLook(
  host: string,
  written: WrittenFiles | undefined,
  writersOf: DriverInventory['diskWriters'],
  signal: AbortSignal,
): Promise<VerificationCheck[]> {
  const skip = (why: string): VerificationCheck[] => [notLooked('disks', 'destination', why)];
  if (written === undefined || writersOf === undefined)
    return skip('its driver does not know which files are its disks');
  const { files, remote } = written;
  const network = `${remote} of its images are reached by its hypervisor itself over a network`;
  if (files.length === 0) return remote === 0 ? skip('it writes to no disk') : skip(network);
  const found = judgeWriters(host, files, await writersOf(files, signal));
  const disks = looked('disks', 'destination', found);
  return remote === 0 ? [disks] : [disks, ...skip(network)];
}

const SILENT_HINT =
  'Ask the guest from another machine of its segment; `godwit report` has what other hosts saw of it.';

/** Results of the segment checks, repeated now that the guest itself answers here. */
export function segmentLooks(all: readonly Check[]): VerificationCheck[] {
  const checks = all.filter(({ name }) => name === 'segment');
  if (checks.length === 0)
    return [notLooked('segment', 'destination', 'it has no NIC in a segment of this host')];
  return checks.map(
    ({ verdict, notTried, evidence, error, hint = error?.hint }): VerificationCheck => {
      const common = { name: 'segment', side: 'destination', evidence } as const;
      if (notTried === true) return { ...common, verdict: 'pass', notTried };
      if (verdict === 'pass') return { ...common, verdict };
      return { ...common, verdict: 'warn', hint: hint ?? SILENT_HINT };
    },
  );
}
