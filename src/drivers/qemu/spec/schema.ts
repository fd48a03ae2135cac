import { z } from 'zod';
import { blockNodes } from './disk-schema.ts';
import { deviceObstacle } from './findings.ts';

/**
 * What a guest is, as it travels to the destination. It comes from a peer: each value is data, checked here;
 * none is a path, a command or an address of the other host. Host-specific parts are named by what they are, and
 * the destination chooses where they lie.
 */

/** Option keys as QEMU writes them; nothing that could end an option and begin another. */
const key = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/);
const id = z.string().regex(/^[A-Za-z0-9_#/][A-Za-z0-9._#/-]{0,127}$/);
const typeName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._,-]{0,127}$/);
const word = z.string().regex(/^[A-Za-z0-9._+:-]{0,127}$/);
const text = z
  .string()
  .max(4096)
  .regex(/^[^\0]*$/, 'text without zero bytes');
const integer = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const value = z.union([text, z.number(), z.boolean()]);
const props = z.record(key, value).refine((all) => Object.keys(all).length <= 256, 'too many');
/** The last part of a path, and never a way out of a directory. */
const fileName = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._@:+-]{0,95}$/);

/** Device and object properties that name something of a host's file system, or run something. */
export const HOST_PROPERTIES =
  /^(romfile|file|filename|path|sysfsdev|host|hostdevice|hostbus|hostport|hostaddr|mem-path|sock|socket|config|script|downscript|helper|exec|fd|fds|vhostfd|vhostfds|wwpn-file|dump-path|loaddata|keyfile|dir|evdev|cgroup|chroot|cmd|rtt|rmem|x-igd-.*)$/;

/** An image known by its content. */
export const image = z.strictObject({
  name: fileName,
  bytes: integer.max(16 * 1024 ** 3),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type ImageSpec = z.infer<typeof image>;

const deviceProps = props.refine(
  (all) => Object.entries(all).every(([name, held]) => !HOST_PROPERTIES.test(name) || held === ''),
  'a property that names something of one host',
);

export const device = z.strictObject({
  driver: typeName.refine(
    (type) => deviceObstacle(type) === undefined,
    'a device that is part of one host',
  ),
  id: id.optional(),
  props: deviceProps,
  /** Its boot ROM, where it is not the type's own. */
  romfile: image.optional(),
});
export type DeviceSpec = z.infer<typeof device>;

export const OBJECT_TYPES = [
  'memory-backend-ram',
  'memory-backend-memfd',
  'iothread',
  'rng-builtin',
  'rng-random',
  'throttle-group',
  'thread-context',
  'filter-buffer',
] as const;

export const object = z
  .strictObject({ type: z.enum(OBJECT_TYPES), id, props })
  .refine(
    ({ type, props: all }) =>
      type === 'rng-random'
        ? ['/dev/urandom', '/dev/random', undefined].includes(all['filename'] as string | undefined)
        : Object.keys(all).every((name) => !HOST_PROPERTIES.test(name)),
    'a property that names something of one host',
  );
export type ObjectSpec = z.infer<typeof object>;

export const chardevBackend = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('null') }),
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({ kind: z.literal('pty') }),
  z.strictObject({ kind: z.literal('ringbuf'), props }),
  /** A listening unix socket; `name` is its last part. */
  z.strictObject({
    kind: z.literal('socket'),
    name: fileName,
    mux: z.boolean(),
    /** Where what passes is written down as well. */
    log: fileName.optional(),
  }),
  z.strictObject({ kind: z.literal('file'), name: fileName }),
  z.strictObject({ kind: z.literal('chardev'), id }),
]);
export type ChardevBackend = z.infer<typeof chardevBackend>;

export const PORT_OPTIONS = ['serial', 'parallel', 'debugcon', 'virtioconsole'] as const;

/** Options whose value is carried as it is. */
export const CARRIED_OPTIONS = [
  'global',
  'boot',
  'rtc',
  'smbios',
  'numa',
  'overcommit',
  'action',
  'watchdog-action',
  'k',
  'vga',
  'nic',
  'net',
  'usb',
  'no-reboot',
  'no-shutdown',
  'no-acpi',
  'no-hpet',
  'no-fd-bootchk',
  'nodefaults',
  'no-user-config',
  'audiodev',
  'drive',
  'usbdevice',
] as const;

const carried = z
  .strictObject({ name: z.enum(CARRIED_OPTIONS), value: text.optional() })
  .refine(
    ({ name, value: held }) => isHarmless(name, held ?? ''),
    'an option that names a host’s file',
  );

/** Of carried options, the values that could reach a file or a program of the host are turned away. */
export function isHarmless(name: string, held: string): boolean {
  switch (name) {
    case 'nic':
    case 'net':
      return held === 'none';
    case 'audiodev':
      return /^(driver=)?none,id=[A-Za-z0-9_-]+$/.test(held);
    case 'drive':
      return /^((if|id|media|index|bus|unit)=[A-Za-z0-9_-]*,?)*$/.test(held);
    case 'usbdevice':
      return /^(tablet|mouse|keyboard)$/.test(held);
    case 'smbios':
      return !/(^|,)(file|path)=/.test(held);
    case 'boot':
      return !/(^|,)splash=/.test(held);
    case 'global': {
      const property = /^(?:[^=]*\.)([^.=]+)=/.exec(held)?.[1] ?? '';
      const long = /(?:^|,)property=([^,]+)/.exec(held)?.[1] ?? '';
      return !HOST_PROPERTIES.test(property) && !HOST_PROPERTIES.test(long);
    }
    default:
      return !held.includes('/');
  }
}

export const netdev = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('tap'),
    id,
    /** Bridge at the source; absent: its port is attached in another way, which the core knows. */
    bridge: z
      .string()
      .regex(/^[^/\s]{1,15}$/)
      .optional(),
    mac: z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i),
    vhost: z.boolean(),
    queues: integer.min(1).max(256),
  }),
  z.strictObject({ type: z.literal('user'), id }),
  z.strictObject({ type: z.literal('hubport'), id, hubid: integer.max(1024) }),
]);
export type NetdevSpec = z.infer<typeof netdev>;

const cpu = z.strictObject({
  model: word,
  identity: z.record(key, z.union([z.string().max(64), z.number()])),
  features: z.array(key).max(1024),
  /** Settings of the processor that are no features, as they were given. */
  switches: z.record(key, z.union([word, z.number(), z.boolean()])),
  words: z
    .array(z.strictObject({ eax: integer, ecx: integer, register: word, bits: integer }))
    .max(256),
});

/** Machine properties that are carried; the others name files or objects. */
export const MACHINE_PROPERTIES =
  /^(accel|kernel-irqchip|kernel_irqchip|usb|vmport|smm|acpi|pic|pit|i8042|hpet|sata|smbus|nvdimm|mem-merge|dump-guest-core|hmat|memory-backend|graphics|suppress-vmdesc|max-fw-size|max-ram-below-4g|fd-bootchk|default-bus-bypass-iommu|default_bus_bypass_iommu|bus-lock-ratelimit|x-south-bridge|smbios-entry-point-type|sgx-epc|cxl|nvdimm-persistence|aux-ram-share|gic-version|its|highmem|secure|virtualization|mte|ras|pcie|rtc|ioapic2|isa-serial|auto-kernel-cmdline|option-roms|x-option-roms)$/;

export const guestSpec = z.strictObject({
  format: z.literal(1),
  arch: z.string().regex(/^[a-z0-9_]{1,16}$/),
  machine: z.strictObject({
    type: word.min(1),
    props: z.record(z.string().regex(MACHINE_PROPERTIES), value),
  }),
  accelerator: z.strictObject({
    name: z.enum(['kvm', 'tcg']),
    props: z.partialRecord(z.enum(['thread', 'tb-size', 'split-wx', 'one-insn-per-tb']), word),
  }),
  cpu: cpu.optional(),
  memory: z.strictObject({
    bytes: integer.min(1024 * 1024),
    slots: integer.max(1024).optional(),
    maxBytes: integer.optional(),
  }),
  smp: z.partialRecord(
    z.enum([
      'cpus',
      'maxcpus',
      'sockets',
      'dies',
      'modules',
      'clusters',
      'cores',
      'threads',
      'drawers',
      'books',
    ]),
    integer.min(1).max(65_536),
  ),
  name: word.optional(),
  uuid: z.uuid().optional(),
  options: z.array(carried).max(512),
  images: z.partialRecord(z.enum(['kernel', 'initrd', 'dtb', 'bios']), image),
  append: text.optional(),
  fwCfg: z
    .array(z.strictObject({ name: z.string().regex(/^[A-Za-z0-9/._-]{1,55}$/), string: text }))
    .max(256),
  objects: z.array(object).max(1024),
  chardevs: z.array(z.strictObject({ id, backend: chardevBackend })).max(256),
  ports: z.array(z.strictObject({ option: z.enum(PORT_OPTIONS), backend: chardevBackend })).max(64),
  /** QMP sockets besides Godwit's own, by their last part; the first one is Godwit's. */
  monitors: z.array(z.strictObject({ kind: z.enum(['qmp', 'hmp']), name: fileName })).max(32),
  netdevs: z.array(netdev).max(256),
  devices: z.array(device).max(2048),
  /** Absent without disks: hosts whose Godwit knows of none take the guest then. */
  blockNodes: blockNodes.optional(),
  ramBlocks: z.array(z.strictObject({ name: text, bytes: integer })).max(4096),
});
export type GuestSpec = z.infer<typeof guestSpec>;
