import type { GuestSpec } from '../schema.ts';
import type { Refused } from './judge.ts';
import { isFreeId } from './kinds.ts';

/** A machine has one TPM: a device for it, and ids that nothing else has. Pure. */
export function judgeTpm({ tpm, devices, chardevs, ports }: GuestSpec): Refused[] {
  const found = devices.flatMap(({ driver, props }, index) =>
    driver.startsWith('tpm-') ? [{ index, driver, tpmdev: props['tpmdev'] }] : [],
  );
  const refused = found.flatMap(({ index, driver, tpmdev }, at): Refused[] =>
    tpmdev !== undefined && at === 0
      ? []
      : [{ path: ['devices', index], what: driver, allowed: 'one TPM, with its `tpmdev`' }],
  );
  if (tpm === undefined) return refused;
  const taken =
    chardevs.some(({ id }) => id === tpm.chardev) ||
    ports.some(({ backend }) => backend.kind === 'chardev' && backend.id === tpm.chardev);
  if (taken || !isFreeId(tpm.chardev) || !isFreeId(tpm.id)) {
    const allowed = 'ids that QEMU takes, said once, and none of Godwit’s own';
    refused.push({ path: ['tpm'], what: `${tpm.id} on ${tpm.chardev}`, allowed });
  }
  return refused;
}
