import { z } from 'zod';
import { nodeName } from '../../../protocol/disk.ts';
import { blockNodes } from './disks/disk-schema.ts';
import { passedThrough } from '../passthrough/device.ts';
import { tpm } from './tpm-schema.ts';

/**
 * Guest's description in transit to the destination. It comes from a peer: each value is checked data, never a
 * path, command or address of the other host. Host-specific parts are described by their identity, and the
 * destination chooses the place. This file has the shape; `grammar/` has the allowed values.
 */

/** Option keys in QEMU's form, without characters that could end an option. */
const key = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/);
const id = z.string().regex(/^[A-Za-z0-9_#/][A-Za-z0-9._#/-]{0,127}$/);
const typeName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._,-]{0,127}$/);
const word = z.string().regex(/^[A-Za-z0-9._+:-]{0,127}$/);
const text = z
  .string()
  .max(4096)
  .regex(/^[^\0]*$/, 'text without zero bytes');
/** Machine or processor type; QEMU does not start with an unknown one. */
const modelName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/);
const integer = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const value = z.union([text, z.number(), z.boolean()]);
const props = z.record(key, value).refine((all) => Object.keys(all).length <= 256, 'too many');
const fileName = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._@:+-]{0,95}$/);

export const image = z.strictObject({
  name: fileName,
  bytes: integer.max(16 * 1024 ** 3),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type ImageSpec = z.infer<typeof image>;

export const device = z.strictObject({
  driver: typeName,
  id: id.optional(),
  props,
  romfile: image.optional(),
  passthrough: passedThrough.optional(),
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

export const object = z.strictObject({ type: z.enum(OBJECT_TYPES), id, props });
export type ObjectSpec = z.infer<typeof object>;

const chardevBackend = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('null') }),
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({ kind: z.literal('pty') }),
  z.strictObject({
    kind: z.literal('ringbuf'),
    props: z.strictObject({
      size: z
        .string()
        .regex(/^\d{1,9}[kKmM]?$/)
        .optional(),
    }),
  }),
  /** Listening unix socket; `name` is its last part. */
  z.strictObject({
    kind: z.literal('socket'),
    name: fileName,
    mux: z.boolean(),
    log: fileName.optional(),
  }),
  z.strictObject({ kind: z.literal('file'), name: fileName }),
  z.strictObject({ kind: z.literal('chardev'), id }),
]);
export type ChardevBackend = z.infer<typeof chardevBackend>;

export const PORT_OPTIONS = ['serial', 'parallel', 'debugcon', 'virtioconsole'] as const;

/** Options that are carried over; `grammar/options.ts` has the form of each. */
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

const carried = z.strictObject({ name: z.enum(CARRIED_OPTIONS), value: text.optional() });

const ip = z.string().regex(/^[0-9A-Fa-f.:]{2,45}$/);
const network = z.string().regex(/^[0-9A-Fa-f.:]{2,45}(\/[0-9.]{1,15})?$/);
const onOff = z.enum(['on', 'off', 'yes', 'no', 'true', 'false', 'y', 'n']);
const domain = z.string().regex(/^[A-Za-z0-9._-]{1,253}$/);
const portNumber = z.number().int().min(1).max(65_535);

export const forward = z.strictObject({
  protocol: z.enum(['tcp', 'udp']),
  hostAddress: z.union([z.literal(''), ip]),
  hostPort: portNumber,
  guestAddress: z.union([z.literal(''), ip]),
  guestPort: portNumber,
});
export type ForwardSpec = z.infer<typeof forward>;

export const userNetdev = z.strictObject({
  type: z.literal('user'),
  id,
  settings: z
    .strictObject({
      net: network,
      host: ip,
      dns: ip,
      dhcpstart: ip,
      restrict: onOff,
      ipv4: onOff,
      ipv6: onOff,
      hostname: domain,
      domainname: domain,
      'ipv6-net': network,
      'ipv6-prefix': ip,
      'ipv6-prefixlen': z.string().regex(/^\d{1,3}$/),
      'ipv6-host': ip,
      'ipv6-dns': ip,
    })
    .partial()
    .optional(),
  search: z.array(domain).max(64).optional(),
  /** Only addresses that every host has. */
  forwards: z
    .array(forward.extend({ hostAddress: z.enum(['', '0.0.0.0', '127.0.0.1', '::', '::1']) }))
    .max(256)
    .optional(),
});

export const netdev = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('tap'),
    id,
    /** Bridge at the source; absent if the port is attached in another way, which the core handles. */
    bridge: z
      .string()
      .regex(/^[^/\s]{1,15}$/)
      .optional(),
    mac: z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i),
    vhost: z.boolean(),
    queues: integer.min(1).max(256),
  }),
  userNetdev,
  z.strictObject({ type: z.literal('hubport'), id, hubid: integer.max(1024) }),
]);
export type NetdevSpec = z.infer<typeof netdev>;

const CPU_IDENTITY = [
  ...(['vendor', 'family', 'model', 'stepping', 'model-id', 'level', 'xlevel'] as const),
  'phys-bits',
] as const;

const cpu = z.strictObject({
  model: modelName,
  identity: z.partialRecord(z.enum(CPU_IDENTITY), z.union([z.string().max(64), z.number()])),
  features: z.array(key).max(1024),
  /** Processor settings that are not features, in their original form. */
  switches: z.record(key, z.union([word, z.number(), z.boolean()])),
  words: z
    .array(z.strictObject({ eax: integer, ecx: integer, register: word, bits: integer }))
    .max(256),
});

/** Firmware flash chip on a separate block node. */
const flash = z.strictObject({
  unit: integer.max(1),
  node: nodeName,
  /** Read-only firmware code. Absent: the chip stores variables, and its node is a disk's. */
  image: image.optional(),
});
export type FlashSpec = z.infer<typeof flash>;

export const guestShape = z.strictObject({
  format: z.literal(1),
  arch: z.string().regex(/^[a-z0-9_]{1,16}$/),
  machine: z.strictObject({
    type: modelName,
    props,
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
  /** Guest's own name; guest-name.ts derives the name on hosts. */
  name: z
    .string()
    .max(255)
    .regex(/^\P{Cc}*$/u, 'text without control characters')
    .optional(),
  /** Any version and variant that QEMU accepts. */
  uuid: z.guid().optional(),
  options: z.array(carried).max(512),
  images: z.partialRecord(z.enum(['kernel', 'initrd', 'dtb', 'bios']), image),
  append: text.optional(),
  fwCfg: z
    .array(z.strictObject({ name: z.string().regex(/^[A-Za-z0-9/._-]{1,55}$/), string: text }))
    .max(256),
  objects: z.array(object).max(1024),
  chardevs: z.array(z.strictObject({ id, backend: chardevBackend })).max(256),
  ports: z.array(z.strictObject({ option: z.enum(PORT_OPTIONS), backend: chardevBackend })).max(64),
  /** QMP sockets besides Godwit's, by the last part; the first one is Godwit's. */
  monitors: z.array(z.strictObject({ kind: z.enum(['qmp', 'hmp']), name: fileName })).max(32),
  netdevs: z.array(netdev).max(256),
  devices: z.array(device).max(2048),
  /** Absent without disks, so that older Godwits without disk support accept the guest. */
  blockNodes: blockNodes.optional(),
  /** Absent without chips, so that older Godwits accept the guest. */
  flash: z.array(flash).min(1).max(2).optional(),
  /** Absent without a TPM, so that older Godwits accept the guest. */
  tpm: tpm.optional(),
  ramBlocks: z.array(z.strictObject({ name: text, bytes: integer })).max(4096),
});
export type GuestSpec = z.infer<typeof guestShape>;
