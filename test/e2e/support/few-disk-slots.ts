/**
 * For the kernel of a guest with disks: it writes to so few places of each that reading all of them again takes it a
 * second, and not ten, each time that it is verified.
 */
export const FEW_PLACES: readonly string[] = ['godwit.diskslots=8'];
