import { godwitError, type SerialError } from '../../../../errors.ts';
import { endError } from '../../../../migration/guest-changes/errors.ts';
import type { SourceState } from '../../../../migration/direct/source/source-state.ts';
import type { DestinationStatus } from '../../../../protocol/peer/migration.ts';
import { DEFAULT_LINK_GRACE_MS } from '../../../../protocol/public/migration.ts';
import { formatDuration } from '../../../../protocol/quantity.ts';
import type { SourceBackingFiles } from '../disks/backing-files.ts';
import type { SourceDisks } from '../disks/disks.ts';
import type { MigrationRun } from '../source-base.ts';
import type { SourceDataPath } from './data-path.ts';

/** Longest time without contact before the switchover; the attempt then ends, ms. */
const SILENCE_MS = 45_000;

function linkHint({ plan: { guest, from, to } }: Pick<SourceState, 'plan'>): string {
  return `Check the link between ${from} and ${to} (cable, switch, firewall, address), and that ${to} is up. ${guest} runs on at ${from}.`;
}

/** Replaces a timeout, which does not show the cause, by the silence of the link. */
export function linkSilent(
  error: SerialError,
  address: string,
  state: Pick<SourceState, 'plan'>,
  silentMs: number,
): SerialError {
  if (error.code !== 'GODWIT_DEADLINE') return error;
  const reason = `nothing came over the link for ${formatDuration(Math.round(silentMs))}`;
  const facts = { peer: state.plan.to, address, reason };
  return godwitError('GODWIT_UNREACHABLE', facts, { hint: linkHint(state) }).toJSON();
}

export function graceMs({ plan }: SourceState): number {
  return plan.settings.linkGraceMs ?? DEFAULT_LINK_GRACE_MS;
}

interface LinkDependencies {
  readonly state: () => SourceState;
  readonly dataPath: Pick<SourceDataPath, 'isOpen'>;
  readonly disks: Pick<SourceDisks, 'isOpen'>;
  readonly backingFiles: Pick<SourceBackingFiles, 'isOpen'>;
}

/** A cut that the wire hides does not count as a lost destination. */
export function silenceOf({ dataPath, disks, backingFiles, state }: LinkDependencies): number {
  return dataPath.isOpen || disks.isOpen || backingFiles.isOpen
    ? Math.max(SILENCE_MS, graceMs(state()))
    : SILENCE_MS;
}

export function lossIn(
  status: DestinationStatus,
  { request }: Pick<MigrationRun, 'request'>,
): SerialError | undefined {
  if (status.hypervisor === 'gone') {
    const { guest } = request.request;
    if (status.ended !== undefined) return endError(guest, status.ended);
    const reason = status.error?.message ?? 'its process has ended';
    return godwitError('GODWIT_HYPERVISOR_LOST', { side: 'destination', guest, reason }).toJSON();
  }
  if (status.state !== 'refused' && status.state !== 'released') return undefined;
  if (status.error !== undefined) return status.error;
  const reason = `it has ${status.state} the guest`;
  return godwitError('GODWIT_DESTINATION_FAILED', {
    host: request.toHost,
    reason,
  }).toJSON();
}
