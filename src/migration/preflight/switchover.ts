import { godwitError } from '../../errors.ts';
import { formatBytes, formatDuration } from '../../protocol/quantity.ts';
import { passes, refuses, warns, type Finding } from './finding.ts';

/** Checks that the state of passed-through devices fits into the allowed downtime. Pure. */

export interface DeviceState {
  readonly device: string;
  /** Driver's estimate; absent: none. */
  readonly stopCopyBytes?: number | undefined;
  /** The driver sends a part before the stop, so less may be left. */
  readonly sendsBefore?: boolean | undefined;
  /** All of its memory, if its driver does not report the part in use. */
  readonly memoryBytes?: number | undefined;
}

export interface SwitchoverFacts {
  readonly devices: readonly DeviceState[];
  readonly maxDowntimeMs: number;
  /** Rate available to memory, bytes/s; absent: not capped, and not measured yet. */
  readonly bytesPerS?: number | undefined;
}

/** The hypervisor asks the drivers in each round, and runs the guest until the state fits. */
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
  // Missing estimates are upper bounds, and the part sent before the stop is unknown.
  if (neededMs(statedBytes(devices), bytesPerS) <= maxDowntimeMs)
    return [...findings, warns(evidence, hint)];
  return [
    ...findings,
    refuses(godwitError('GODWIT_USAGE', { what: evidence }, { hint }), evidence),
  ];
}

/** State that drivers report to send entirely during the stop. */
export function statedBytes(devices: readonly DeviceState[]): number {
  return devices
    .filter(({ sendsBefore = false }) => !sendsBefore)
    .reduce((sum, { stopCopyBytes = 0 }) => sum + stopCopyBytes, 0);
}

function sizeOf({ stopCopyBytes, memoryBytes }: DeviceState): number | undefined {
  return stopCopyBytes ?? memoryBytes;
}

/** Excludes the time to load the state, which no driver reports. */
export function neededMs(bytes: number, bytesPerS: number): number {
  return Math.ceil((bytes / bytesPerS) * 1000);
}
