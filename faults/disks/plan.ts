/** The disks of the guest in cells that have some. */
const MIB = 1024 ** 2;

/** The base of the first is what has to be sent ahead; what the second holds is copied while the guest runs. */
export const DISKS = [
  { bytes: 64 * MIB, thin: true, backed: true, filledBytes: 24 * MIB },
  { bytes: 48 * MIB, thin: false, filledBytes: 24 * MIB },
];

/** In so many places it writes 64 KiB to each: so few that its own reading of them takes a second and not ten. */
export const SLOTS = 8;

/** In the raw image each place is in the first MiB of so many: nobody writes to the others, and half of them hold data. */
export const RAW_STRIDE_MIB = 48 / SLOTS;
