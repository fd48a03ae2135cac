import { z } from 'zod';

/**
 * What virtio devices offer their drivers, and what these have taken. It is no property: a tap of another kernel makes a NIC
 * offer less, and QEMU refuses the state of a guest that uses what is not offered. Pure but for the question.
 */

/** A device has some forty, and a machine as many devices as it has parts. */
const MAX_FEATURES = 128;
const MAX_DEVICES = 2048;

const name = z.string().max(64);

/** Of one device, by the place of its part. */
export const virtioDevice = z.object({
  place: z.string().min(1).max(1024),
  offers: z.array(name).max(MAX_FEATURES),
  taken: z.array(name).max(MAX_FEATURES),
  /** Its QEMU has no names for some that it offers: those that are not listed may be among them. */
  offersMore: z.boolean(),
});
export const virtioDevices = z.array(virtioDevice).max(MAX_DEVICES);
export type VirtioDevice = z.infer<typeof virtioDevice>;

/** Each device on PCI offers it, and no driver is to take it (`VIRTIO_F_BAD_FEATURE`). QEMU has a name for it for some alone. */
const ALWAYS_OFFERED = 1n << 30n;

const features = z.object({
  transports: z.array(z.string().max(1024)).max(MAX_FEATURES),
  'dev-features': z.array(z.string().max(1024)).max(MAX_FEATURES).default([]),
  'unknown-dev-features': z.int().nonnegative().optional(),
});
const status = z.object({ 'host-features': features, 'guest-features': features });

/** By QEMU's `x-query-virtio-status`, which it may change: undefined where that is something else. */
export function virtioDeviceOf(place: string, answer: unknown): VirtioDevice | undefined {
  const parsed = status.safeParse(answer);
  if (!parsed.success) return undefined;
  const { 'host-features': offered, 'guest-features': taken } = parsed.data;
  const unknown = BigInt(offered['unknown-dev-features'] ?? 0);
  const offersMore = (unknown & ~ALWAYS_OFFERED) !== 0n;
  return { place, offers: namesOf(offered), taken: namesOf(taken), offersMore };
}

/** `VIRTIO_NET_F_MAC: ...`: the words after the name differ between versions of QEMU. */
function namesOf({ transports, 'dev-features': own }: z.infer<typeof features>): string[] {
  return [...transports, ...own].map((each) => {
    const [name = '', words = ''] = each.split(':');
    // QEMU 8.0 to 10.1 has the name of the other one for it.
    if (name.endsWith('_USO4') && words.includes('USOv6')) return name.replace('_USO4', '_USO6');
    // QEMU misspells two names, and a later version may spell them right.
    return name.replace('LEGNTH', 'LENGTH').replace('SUSPND', 'SUSPEND').slice(0, 64);
  });
}

/** What drivers at the source have taken of devices that do not offer it at the destination, in words. */
export function lostFeatures(
  source: readonly VirtioDevice[],
  destination: readonly VirtioDevice[],
): string[] {
  const there = new Map(destination.map((each) => [each.place, each]));
  return source.flatMap(({ place, taken }) => {
    const other = there.get(place);
    if (other === undefined || other.offersMore) return [];
    const lost = taken.filter((feature) => !other.offers.includes(feature));
    if (lost.length === 0) return [];
    return `${place}: the guest uses ${lost.join(', ')}, which the destination does not offer`;
  });
}
