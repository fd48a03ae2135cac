import { godwitError } from '../../errors.ts';
import { formatBytes, formatDuration } from '../../protocol/quantity.ts';
import { passes, refuses, warns, type Finding } from './finding.ts';

/** Whether the state of devices that are passed through goes over within the downtime that is allowed. Pure. */

export interface DeviceState {
  readonly device: string;
  /** What its driver estimates; absent: it does not say. */
  readonly stopCopyBytes?: number | undefined;
  /** It sends a part of that while the guest runs, so that less may be left; by its driver’s word. */
  readonly sendsBefore?: boolean | undefined;
  /** All of its memory, where its driver does not say how much of that is in use. */
  readonly memoryBytes?: number | undefined;
}

export interface SwitchoverFacts {
  readonly devices: readonly DeviceState[];
  readonly maxDowntimeMs: number;
  /** What memory may take of the link, bytes/s; absent: nothing bounds it, and what the link carries is not known yet. */
  readonly bytesPerS?: number | undefined;
}

/** The hypervisor asks the drivers again at each round, and does not stop the guest while it is more than fits. */
export function judgeSwitchover({ devices, maxDowntimeMs, bytesPerS }: SwitchoverFacts): Finding[] {
  if (devices.length === 0) return [];
  const unknown = devices.filter((each) => sizeOf(each) === undefined);
  const findings = unknown.map(({ device }) =>
    warns(
      `${device}: its driver does not say how much of its state is sent while the guest is stopped`,
      'The report says how long the guest was stopped. Where the migration does not come to an end, allow more (--max-downtime).',
    ),
  );
  const known = devices.filter((each) => sizeOf(each) !== undefined);
  if (known.length === 0) return findings;
  const bytes = known.reduce((sum, each) => sum + (sizeOf(each) ?? 0), 0);
  const parts = known.map((each) => {
    const most = each.stopCopyBytes === undefined ? 'at most ' : '';
    return `${each.device} ${most}${formatBytes(sizeOf(each) ?? 0)}`;
  });
  const what = `${parts.join(', ')} of device state are sent while the guest is stopped`;
  const allowed = `${formatDuration(maxDowntimeMs)} of downtime are allowed`;
  if (bytesPerS === undefined) {
    const needed = Math.ceil((bytes / maxDowntimeMs) * 1000);
    return [
      ...findings,
      passes(`${what}; ${allowed}, for which the link has to carry ${formatBytes(needed)}/s`),
    ];
  }
  const takesMs = neededMs(bytes, bytesPerS);
  const evidence = `${what}, which takes ${formatDuration(takesMs)} at ${formatBytes(bytesPerS)}/s; ${allowed}`;
  if (takesMs <= maxDowntimeMs) return [...findings, passes(evidence)];
  const hint = `The guest is never stopped unless that fits: allow --max-downtime ${takesMs}ms, or more bandwidth.`;
  // What drivers do not say themselves is guessed from above, and what goes over before the stop is not known beforehand.
  if (neededMs(statedBytes(devices), bytesPerS) <= maxDowntimeMs)
    return [...findings, warns(evidence, hint)];
  return [
    ...findings,
    refuses(godwitError('GODWIT_USAGE', { what: evidence }, { hint }), evidence),
  ];
}

/** What the drivers of devices say themselves that they send while the guest is stopped, and none of it before. */
export function statedBytes(devices: readonly DeviceState[]): number {
  return devices
    .filter(({ sendsBefore = false }) => !sendsBefore)
    .reduce((sum, { stopCopyBytes = 0 }) => sum + stopCopyBytes, 0);
}

function sizeOf({ stopCopyBytes, memoryBytes }: DeviceState): number | undefined {
  return stopCopyBytes ?? memoryBytes;
}

/** Without what loading the state takes, which no driver says. */
export function neededMs(bytes: number, bytesPerS: number): number {
  return Math.ceil((bytes / bytesPerS) * 1000);
}
