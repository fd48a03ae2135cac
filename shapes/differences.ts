import type { GuestDescription } from '../src/protocol/peer/migration.ts';

/** Where what a guest was and what it became differ, as paths with both values; empty where they do not. Pure. */
export function differences(before: GuestDescription, after: GuestDescription): string[] {
  const found: string[] = [];
  // One that has no name is given that by which its host knows it.
  const { name } = before.spec as { name?: string };
  const named = { ...(after.spec as object), ...(name === undefined ? { name } : {}) };
  compare('', comparable(before), comparable({ ...after, spec: named }), found);
  return found;
}

/** What is the same in any order stands in one order, and what is another program's is left out. */
function comparable(description: GuestDescription): unknown {
  const { hypervisorVersion: _version, disks, spec, ...rest } = description;
  const { blockNodes, cpu, devices, ramBlocks, ...others } = spec as Record<string, unknown>;
  return {
    ...rest,
    // A disk without an id is called by where it is.
    disks: byText(disks?.map(({ images }) => images.map(withoutSize))),
    // Proved by itself, word by word, before memory is sent.
    spec: {
      ...others,
      cpu: modelOf(cpu),
      devices: withoutCache(devices),
      blockNodes: byText(blockNodes),
      ramBlocks: byText(ramBlocks),
    },
  };
}

/** How much of it is on the disk changes as the guest runs. */
function withoutSize(image: object): object {
  const { allocatedBytes: _bytes, ...rest } = image as { allocatedBytes?: number };
  return rest;
}

/**
 * A guest without a driver for it takes no part in the write cache of a virtio disk: QEMU then turns that off as it loads
 * the state of the disk, and a guest of this table has none.
 */
function withoutCache(devices: unknown): unknown {
  if (!Array.isArray(devices)) return devices;
  return devices.map((each: { driver: string; props: Record<string, unknown> }) => {
    const { 'write-cache': cache, ...props } = each.props;
    const isOwn = each.driver.startsWith('virtio-blk');
    return { ...each, props: isOwn || cache === undefined ? props : { ...props, cache } };
  });
}

function modelOf(cpu: unknown): unknown {
  const { model, identity, switches } = (cpu ?? {}) as Record<string, unknown>;
  return { model, identity, switches };
}

function byText(list: unknown): unknown {
  if (!Array.isArray(list)) return list;
  return list.toSorted((one, two) => (JSON.stringify(one) < JSON.stringify(two) ? -1 : 1));
}

function compare(at: string, one: unknown, two: unknown, found: string[]): void {
  if (isObject(one) && isObject(two)) {
    for (const key of new Set([...Object.keys(one), ...Object.keys(two)])) {
      compare(at === '' ? key : `${at}.${key}`, one[key], two[key], found);
    }
    return;
  }
  if (JSON.stringify(one) === JSON.stringify(two)) return;
  found.push(
    `${at}: ${JSON.stringify(one) ?? 'nothing'} became ${JSON.stringify(two) ?? 'nothing'}`,
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
