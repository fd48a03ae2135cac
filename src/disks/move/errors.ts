import { godwitError, type SerialError } from '../../errors.ts';
import type { DiskMovePlan } from '../../migration/disk-move.ts';
import type { RelocationSight } from '../../port/disks.ts';

export function failedMove({ request }: DiskMovePlan, reason: string): SerialError {
  const { guest, disk: device } = request;
  const hint = 'The guest goes on with its old image, and nothing of the new one is left.';
  return godwitError('GODWIT_DISK_FAILED', { guest, device, reason }, { hint }).toJSON();
}

/** Another program put an image there: both files stay, and the error names them. */
export function strangeMove({ request, from, to }: DiskMovePlan): SerialError {
  const { guest, disk: device } = request;
  const reason = `the guest’s disk is neither ${from} nor ${to} any more`;
  const hint = 'Another program has changed it; both files are left as they are.';
  return godwitError('GODWIT_DISK_FAILED', { guest, device, reason }, { hint }).toJSON();
}

/** The switch was recorded, and the host rebooted. One image is missing, so it is unknown which one is newer. */
export function unseenMove({ request, from, to }: DiskMovePlan): SerialError {
  const { guest, disk: device } = request;
  const reason = `its host was restarted during the switch, and ${to} is not there`;
  const hint = `If the storage of ${to} is not mounted, mount it and look: if ${to} is there, it is the newer image, unless another host recovered the guest meanwhile. If it is not, the guest’s disk is ${from}. Both are left as they are.`;
  return godwitError('GODWIT_DISK_FAILED', { guest, device, reason }, { hint }).toJSON();
}

export function cancelledMove({ request, from: file }: DiskMovePlan): SerialError {
  const { guest, disk: device } = request;
  return godwitError('GODWIT_DISK_MOVE_CANCELLED', { guest, device, file }).toJSON();
}

export function whyFailed({ failure, job }: Pick<RelocationSight, 'failure' | 'job'>): string {
  if (failure?.kind === 'full') return `there is no room for it (${failure.reason})`;
  if (failure !== undefined) return failure.reason;
  if (job === 'none') return 'its copying was broken off by somebody else';
  return 'its copying has ended without a switch';
}
