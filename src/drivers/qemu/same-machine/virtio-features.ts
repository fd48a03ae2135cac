import { z } from 'zod';

/**
 * Features that virtio devices offer, and that their drivers have accepted. They depend on the host: with
 * another kernel's tap a NIC offers less, and QEMU refuses the state of a guest that uses a missing feature.
 * Pure, except for the query.
 */

/** A device has about forty; a machine has at most as many devices as parts. */
const MAX_FEATURES = 128;
const MAX_DEVICES = 2048;

const name = z.string().max(64);

export const virtioDevice = z.object({
  place: z.string().min(1).max(1024),
  offers: z.array(name).max(MAX_FEATURES),
  taken: z.array(name).max(MAX_FEATURES),
  /** The QEMU has no names for some offered features, so a missing name proves nothing. */
  offersMore: z.boolean(),
});
export const virtioDevices = z.array(virtioDevice).max(MAX_DEVICES);
export type VirtioDevice = z.infer<typeof virtioDevice>;

/**
 * Each PCI device offers it, but no driver may accept it (`VIRTIO_F_BAD_FEATURE`). QEMU has a name for it only
 * for some devices.
 */
const ALWAYS_OFFERED = 1n << 30n;

const features = z.object({
  transports: z.array(z.string().max(1024)).max(MAX_FEATURES),
  'dev-features': z.array(z.string().max(1024)).max(MAX_FEATURES).default([]),
  'unknown-dev-features': z.int().nonnegative().optional(),
});
const status = z.object({ 'host-features': features, 'guest-features': features });

/** Parses QEMU's `x-query-virtio-status`, which may change: undefined for an unknown form. */
export function virtioDeviceOf(place: string, answer: unknown): VirtioDevice | undefined {
  const parsed = status.safeParse(answer);
  if (!parsed.success) return undefined;
  const { 'host-features': offered, 'guest-features': taken } = parsed.data;
  const unknown = BigInt(offered['unknown-dev-features'] ?? 0);
  const offersMore = (unknown & ~ALWAYS_OFFERED) !== 0n;
  return { place, offers: namesOf(offered), taken: namesOf(taken), offersMore };
}

/** Names from `VIRTIO_NET_F_MAC: ...`; the text after the name differs between QEMU versions. */
function namesOf({ transports, 'dev-features': own }: z.infer<typeof features>): string[] {
  return [...transports, ...own].map((each) => {
    const [name = '', words = ''] = each.split(':');
    // QEMU 8.0 to 10.1 uses the other feature's name for it.
    if (name.endsWith('_USO4') && words.includes('USOv6')) return name.replace('_USO4', '_USO6');
    // QEMU misspells two names, which a later version may correct.
    return name.replace('LEGNTH', 'LENGTH').replace('SUSPND', 'SUSPEND').slice(0, 64);
  });
}

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
