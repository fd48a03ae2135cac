import { parseBytes, type Scalar } from '../options.ts';
import type { DeviceSpec, GuestSpec, ObjectSpec } from '../schema.ts';
import { isProcessor } from './devices.ts';
import type { GrammarViolation } from './judge.ts';
import { globalParts } from './options.ts';

/** Total resources of a description, to compare with the admitted ones. */
export interface Amounts {
  readonly memoryBytes: number;
  readonly vcpus: number;
}

/** An nvdimm's label does not count as memory. */
const LABEL_BYTES = 1024 ** 2;

const MAX_DEVICE_BYTES = 1024 ** 3;
const MIB = 1024 ** 2;
const DEVICE_MEMORY: Readonly<Record<string, number>> = {
  vgamem: 1,
  hostmem: 1,
  max_hostmem: 1,
  vgamem_mb: MIB,
  ram_size_mb: MIB,
  vram_size_mb: MIB,
  vram64_size_mb: MIB,
  ram_size: 1,
  vram_size: 1,
  romsize: 1,
};

export function judgeAmounts(spec: GuestSpec, { memoryBytes, vcpus }: Amounts): GrammarViolation[] {
  const bytes = memoryOf(spec);
  const cpus =
    (spec.smp.cpus ?? 1) + spec.devices.filter((each) => isProcessor(each.driver)).length;
  return [
    ...(bytes <= memoryBytes
      ? []
      : [
          {
            path: ['memory'],
            what: `memory of ${bytes} bytes`,
            allowed: `the ${memoryBytes} bytes that the guest is said to have`,
          },
        ]),
    ...(cpus <= vcpus
      ? []
      : [
          {
            path: ['smp', 'cpus'],
            what: `${cpus} processors`,
            allowed: `the ${vcpus} that the guest is said to have`,
          },
        ]),
    ...(deviceMemoryOf(spec) <= MAX_DEVICE_BYTES
      ? []
      : [
          {
            path: ['devices'],
            what: `memory of its devices of ${deviceMemoryOf(spec)} bytes`,
            allowed: `${MAX_DEVICE_BYTES} bytes for all of them`,
          },
        ]),
    ...judgeBlocks(spec, memoryBytes),
  ];
}

/**
 * Checks QEMU's own memory blocks, regardless of the description: for example, displays have undeclared memory.
 * Before memory flows, the new QEMU is checked to have exactly these blocks.
 */
function judgeBlocks(
  { ramBlocks, objects, devices }: GuestSpec,
  memoryBytes: number,
): GrammarViolation[] {
  // A virtio-mem backend is a block of its maximum size, however little the guest was given.
  const parts = objects
    .filter(({ id }) =>
      devices.some(({ driver, props }) => isPart(driver) && props['memdev'] === id),
    )
    .reduce((sum, { props }) => sum + bytesOf(props['size']), 0);
  const most = memoryBytes + parts + MAX_DEVICE_BYTES;
  const bytes = ramBlocks.reduce((sum, each) => sum + each.bytes, 0);
  if (bytes <= most) return [];
  const allowed = `${most} bytes: the guest’s memory, and ${MAX_DEVICE_BYTES} of its devices`;
  return [{ path: ['ramBlocks'], what: `memory blocks of ${bytes} bytes`, allowed }];
}

/** Memory that QEMU may use for displays and ROMs, bytes: by the devices' properties and `-global`. */
function deviceMemoryOf({ devices, options }: GuestSpec): number {
  let sum = 0;
  for (const { props } of devices) {
    for (const [name, value] of Object.entries(props)) sum += memoryOfProperty(name, value);
  }
  for (const { name, value = '' } of options) {
    if (name !== 'global') continue;
    const of = globalParts(value);
    const count = devices.filter((each) => each.driver === of?.driver).length;
    sum += Math.max(1, count) * memoryOfProperty(of?.property ?? '', of?.value);
  }
  return sum;
}

function memoryOfProperty(name: string, value: Scalar | undefined): number {
  const unit = Object.hasOwn(DEVICE_MEMORY, name) ? DEVICE_MEMORY[name] : undefined;
  // QEMU chooses the size for -1.
  return unit === undefined || Number(value) === -1 ? 0 : unit * bytesOf(value);
}

function memoryOf({ memory, machine, options, objects, devices }: GuestSpec): number {
  // Backends of the main memory or of its parts count as that memory.
  const main = new Set<Scalar | undefined>([machine.props['memory-backend']]);
  for (const { name, value = '' } of options) {
    const memdev = name === 'numa' ? /(?:^|,)memdev=([^,]+)/.exec(value)?.[1] : undefined;
    if (memdev !== undefined) main.add(memdev);
  }
  const added = objects.flatMap(({ type, id, props }) => {
    if (!type.startsWith('memory-backend-') || main.has(id)) return [];
    const label = devices.some(
      ({ driver, props: of }) => driver === 'nvdimm' && of['memdev'] === id,
    )
      ? LABEL_BYTES
      : 0;
    return [Math.max(0, takenBy({ id, props }, devices) - label)];
  });
  return added.reduce((sum, bytes) => sum + bytes, memory.bytes);
}

export function takenBy(
  { id, props }: Pick<ObjectSpec, 'id' | 'props'>,
  devices: readonly Pick<DeviceSpec, 'driver' | 'props'>[],
): number {
  const size = bytesOf(props['size']);
  const device = devices.find((each) => each.props['memdev'] === id);
  // The guest has only its requested part of such a device's maximum.
  if (device === undefined || !isPart(device.driver) || isOn(props['prealloc'])) return size;
  return Math.min(size, bytesOf(device.props['requested-size']));
}

function isPart(driver: string): boolean {
  return driver.startsWith('virtio-mem');
}

/** An invalid size counts as more than any host has. */
function bytesOf(size: Scalar | undefined): number {
  if (size === undefined) return 0;
  if (typeof size === 'number') return size >= 0 ? size : Infinity;
  const text = String(size);
  return (/^0x/i.test(text) ? Number(text) : parseBytes(text, 1)) ?? Infinity;
}

function isOn(value: Scalar | undefined): boolean {
  return value === true || /^(on|yes|true|y)$/.test(String(value));
}
