import type { HeldDevice } from '../../port/managed.ts';
import { isBlockDevice } from '../../disks/proof/devices.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import { pass, refusal, warn } from '../../migration/preflight/check.ts';
import type { DeviceAnswer, DeviceProof } from '../../protocol/disk.ts';
import type { Check } from '../../protocol/public/migration.ts';
import { deviceAtPath, proveMedia, type Medium, type MediumVerdict } from '../shared/media.ts';

/** Checks, with both hosts, that the destination has a guest's block devices at the same paths. */

export interface HeldDevicesAsked {
  readonly devices: readonly HeldDevice[] | undefined;
  readonly order: Pick<ManagedOrder, 'guest' | 'from' | 'to'>;
  /** Id of the proof, the same in all of its questions. */
  readonly id: string;
  /** Asks the other host's agent; a string: the reason why that is impossible. */
  readonly ask: ((devices: readonly DeviceProof[]) => Promise<readonly DeviceAnswer[]>) | string;
}

export async function heldDeviceChecks(
  { devices = [], order, id, ask }: HeldDevicesAsked,
  signal: AbortSignal,
): Promise<Check[]> {
  if (devices.length === 0) return [];
  const { from, to } = order;
  const verdicts = await proved();
  return devices.map((device) => {
    const verdict = typeof verdicts === 'string' ? verdicts : verdicts.get(device.file);
    return checkOf(device, order, verdict);
  });

  async function proved(): Promise<ReadonlyMap<string, MediumVerdict> | string> {
    if (typeof ask === 'string') return ask;
    try {
      const media = new Map<string, Medium>();
      for (const { file } of devices)
        if (await isBlockDevice(file)) media.set(file, deviceAtPath(file));
      return await proveMedia(media, { from, to, migration: id }, ask, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      return toGodwitError(thrown).message;
    }
  }
}

const HINT =
  'Move it only if the device is of storage that both hosts reach, such as a LUN or a shared volume group, and not one of that name on each.';

function checkOf(
  { name, file, isWritten }: HeldDevice,
  { guest, from, to }: HeldDevicesAsked['order'],
  verdict: MediumVerdict | string | undefined,
): Check {
  const device = `${name} is the block device ${file}`;
  if (verdict === undefined || typeof verdict === 'string' || 'unasked' in verdict) {
    const unseen = `${from} does not see it`;
    const why = typeof verdict === 'string' ? verdict : (verdict?.why ?? unseen);
    const evidence = `${device}: nobody looked whether ${to} has the same one at that path: ${why}`;
    return warn('disks', evidence.slice(0, 4096), HINT, 'both');
  }
  if ('pool' in verdict)
    return pass('disks', `${device}, and ${to} has the same one there`, 'both');
  const reason = `it is not shown that ${to} has the same block device at that path: ${verdict.why}`;
  // A read-only medium, such as the host's CD, may differ there.
  if (!isWritten) return warn('disks', `${device}: ${reason}`.slice(0, 4096), HINT, 'both');
  const hint = `Give ${to} the same device under that path: map the LUN to it, or activate the shared volume group there.`;
  const facts = { device: name, guest, file, reason };
  return refusal('disks', godwitError('GODWIT_DISK_LOCAL', facts, { hint }), 'both');
}
