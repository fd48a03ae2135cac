import { z } from 'zod';

/** Passed-through host device, described independently of its address. Pure. */

const number = z.string().regex(/^[0-9a-f]{4}$/);
const word = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._ -]{0,63}$/);

/** Properties that must be equal at the destination. They come from a peer. */
export const passedThrough = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('pci'),
    vendor: number,
    device: number,
    subsystemVendor: number,
    subsystemDevice: number,
    /** Bound kernel driver, which saves and loads the device's state. */
    driver: word,
    /** Only for a virtual function that is a vGPU. */
    vgpuType: word.optional(),
  }),
  z.strictObject({
    kind: z.literal('mdev'),
    type: word,
    /** Such as `GRID T4-2Q`; the type number differs between driver releases. */
    typeName: word.optional(),
    driver: word,
  }),
]);
export type PassedThrough = z.infer<typeof passedThrough>;

export const FEATURES = ['stop-copy', 'p2p', 'pre-copy', 'dirty-tracking'] as const;
export type Feature = (typeof FEATURES)[number];

export interface DeviceAnswer {
  readonly features: readonly Feature[];
  /** Driver's estimate of the bytes sent while the guest is stopped; it changes while the guest works. */
  readonly stopCopyBytes?: number;
}

export interface HostDevice extends Partial<DeviceAnswer> {
  /** QEMU's name: 0000:3b:00.2, or the UUID of a mediated device. */
  readonly name: string;
  readonly what: PassedThrough;
  /** Device memory, the upper limit of its state. */
  readonly memoryBytes?: number;
  readonly group?: string;
}

export function shown(what: PassedThrough): string {
  if (what.kind === 'mdev') return what.typeName ?? what.type;
  return `${what.vendor}:${what.device}`;
}
