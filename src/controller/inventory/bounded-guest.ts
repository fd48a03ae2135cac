import type { GuestInfo } from '../../protocol/public/hosts/host.ts';

/** JSON of one guest, bytes: several times that of a guest with 64 disks, 64 NICs and 64 labels. */
export const MAX_GUEST_BYTES = 128 * 1024;

export interface BoundedGuest {
  readonly guest: GuestInfo;
  readonly text: string;
  readonly bytes: number;
}

/** A long report keeps only its main properties and labels, and the guest is not moved. */
export function boundedGuest(reported: GuestInfo): BoundedGuest {
  const whole = withText(reported);
  if (whole.bytes <= MAX_GUEST_BYTES) return whole;
  const { devices: _devices, disks: _disks, nics: _nics, warnings: _warnings, ...main } = reported;
  const why = `its host describes it in ${whole.bytes} bytes, and a controller keeps ${MAX_GUEST_BYTES}`;
  return withText({ ...main, nics: [], devices: [], unmovable: [why] });
}

function withText(guest: GuestInfo): BoundedGuest {
  const text = JSON.stringify(guest);
  return { guest, text, bytes: Buffer.byteLength(text) };
}
