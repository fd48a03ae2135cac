import { z } from 'zod';

/** A device of a host that is passed through to a guest: what it is, wherever it is plugged in. Pure. */

const number = z.string().regex(/^[0-9a-f]{4}$/);
const word = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._ -]{0,63}$/);

/** What a device at the destination has to be the same in. It comes from a peer. */
export const passedThrough = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('pci'),
    vendor: number,
    device: number,
    subsystemVendor: number,
    subsystemDevice: number,
    /** The kernel's driver that it is bound to: it is who saves and loads its state. */
    driver: word,
    /** Of a virtual function that is a vGPU. */
    vgpuType: word.optional(),
  }),
  z.strictObject({
    kind: z.literal('mdev'),
    /** `nvidia-63`. */
    type: word,
    /** `GRID T4-2Q`; a type's number is another one in another release of its driver. */
    typeName: word.optional(),
    driver: word,
  }),
]);
export type PassedThrough = z.infer<typeof passedThrough>;

export const FEATURES = ['stop-copy', 'p2p', 'pre-copy', 'dirty-tracking'] as const;
export type Feature = (typeof FEATURES)[number];

/** What its driver answers for it. */
export interface DeviceAnswer {
  readonly features: readonly Feature[];
  /** What it estimates to have to send while the guest is stopped; it changes while the guest works. */
  readonly stopCopyBytes?: number;
}

export interface HostDevice extends Partial<DeviceAnswer> {
  /** As QEMU calls it: 0000:3b:00.2, or the UUID of a mediated device. */
  readonly name: string;
  readonly what: PassedThrough;
  /** All of its own memory: more than that it never sends. */
  readonly memoryBytes?: number;
  /** Of its IOMMU group: what opens /dev/vfio/GROUP has it. */
  readonly group?: string;
}

export function shown(what: PassedThrough): string {
  if (what.kind === 'mdev') return what.typeName ?? what.type;
  return `${what.vendor}:${what.device}`;
}
