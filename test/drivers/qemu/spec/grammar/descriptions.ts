import fc from 'fast-check';
import { CHIPS } from '../../../../../src/drivers/qemu/spec/grammar/options.ts';
import {
  DEVICE_TYPES,
  propertiesOf,
} from '../../../../../src/drivers/qemu/spec/grammar/devices.ts';
import { KINDS, type KindName } from '../../../../../src/drivers/qemu/spec/grammar/kinds.ts';
import { kindOfProperty } from '../../../../../src/drivers/qemu/spec/grammar/properties.ts';
import type { Scalar } from '../../../../../src/drivers/qemu/spec/options.ts';
import type { GuestSpec } from '../../../../../src/drivers/qemu/spec/schema.ts';

/** Descriptions that the grammar takes, made from the grammar: each device type, each property, each option. */

const whole = (bits: number): fc.Arbitrary<Scalar> =>
  fc.oneof(
    fc.nat({ max: Math.min(2 ** bits - 1, 2 ** 31 - 1) }),
    fc.nat({ max: 200 }).map(String),
    fc.nat({ max: 200 }).map((value) => `0x${value.toString(16)}`),
  );
const oneOf = (words: string): fc.Arbitrary<Scalar> => fc.constantFrom(...words.split(' '));
/** Whatever a guest may be shown: separators, quotes and other scripts included. */
const text = fc
  .string({ unit: 'grapheme', maxLength: 12 })
  .filter((each) => !/\p{Cc}/u.test(each))
  .map((each) => `${each}a,b=c/é`.slice(0, 20));
const onOff = fc.oneof(fc.boolean(), oneOf('on off yes no true false'));
const uuid = fc.uuid();

/** A value of each kind; the ids are those that every description here has. */
export const VALUES: Readonly<Record<KindName, fc.Arbitrary<Scalar>>> = {
  switch: onOff,
  auto: fc.oneof(onOff, fc.constant('auto')),
  u8: whole(8).filter((value) => Number(value) < 256),
  u16: whole(16),
  u32: whole(32),
  u64: fc.oneof(whole(64), fc.constant('0xffffffffffffffff')),
  i32: fc.integer({ min: -5, max: 99 }),
  count: fc.oneof(whole(32), onOff),
  size: oneOf('1G 512M 4096 1.5g 0x1000'),
  text,
  nothing: fc.constant(''),
  mac: fc.constant('52:54:00:AA:bb:01'),
  address: oneOf('03.0 0x1c 1f.7 0x2.0x1 5'),
  port: oneOf('1 2.4 0x10'),
  bus: oneOf('pcie.0 usb0.0 pci.1'),
  uuid,
  device: fc.constant('nic-0'),
  netdev: fc.constant('n1'),
  chardev: fc.constant('char-0'),
  drive: fc.constantFrom('node-0', 'cd0'),
  memdev: fc.constant('mem.0'),
  iothread: fc.constant('io1'),
  rng: fc.constant('rng0'),
  audiodev: fc.constant('snd0'),
  tpmdev: fc.constant('tpm0'),
  cpus: oneOf('0-3 7'),
  duplex: oneOf('half full'),
  tx: oneOf('timer bh'),
  onError: oneOf('report stop'),
  ticks: oneOf('delay discard'),
  translation: oneOf('auto lba'),
  floppy: oneOf('144 none'),
  granule: oneOf('4k host'),
  speed: oneOf('2_5 16'),
  width: oneOf('1 16'),
  i8042: fc.constant('i8042'),
};

const scalarText = (value: Scalar): string =>
  typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value);
const escaped = (value: Scalar): string => scalarText(value).replaceAll(',', ',,');

/** Values of each carried option; undefined for a flag. */
export const OPTION_VALUES: Readonly<
  Record<GuestSpec['options'][number]['name'], fc.Arbitrary<string | undefined>>
> = {
  global: fc.oneof(
    fc.constantFrom('ICH9-LPC.disable_s3=1', 'kvm-pit.lost_tick_policy=delay', 'virtio-pci.aer=on'),
    globals(),
  ),
  boot: fc.constantFrom('menu=off', 'd', 'order=dc,once=n,strict=on', 'reboot-timeout=-1'),
  rtc: fc.constantFrom('base=utc,driftfix=slew', 'base=2026-01-02T03:04:05,clock=vm'),
  smbios: fc.oneof(
    text.map((each) => `type=1,serial=${escaped(each)}`),
    fc
      .array(text, { minLength: 1, maxLength: 3 })
      .map((all) => ['type=11', ...all.map((each) => `value=${escaped(each)}`)].join(',')),
    uuid.map((each) => `type=1,uuid=${each},manufacturer=Libvirt`),
    fc.constantFrom(
      'type=0,vendor=x,uefi=on',
      'type=17,speed=3200,bank=0',
      'type=4,max-speed=3000',
    ),
  ),
  numa: fc.constantFrom(
    'node,nodeid=0,cpus=0-1,cpus=4,mem=1G',
    'node,nodeid=1,memdev=mem.0',
    'dist,src=0,dst=1,val=20',
    'cpu,node-id=0,socket-id=0',
  ),
  overcommit: fc.constantFrom('mem-lock=off', 'cpu-pm=on'),
  action: fc.constantFrom('panic=pause', 'reboot=shutdown,watchdog=reset'),
  'watchdog-action': fc.constantFrom('reset', 'inject-nmi'),
  k: fc.constantFrom('en-us', 'de'),
  vga: fc.constantFrom('none', 'std', 'qxl'),
  nic: fc.constant('none'),
  net: fc.constant('none'),
  usb: fc.constant(undefined),
  'no-reboot': fc.constant(undefined),
  'no-shutdown': fc.constant(undefined),
  'no-acpi': fc.constant(undefined),
  'no-hpet': fc.constant(undefined),
  'no-fd-bootchk': fc.constant(undefined),
  nodefaults: fc.constant(undefined),
  'no-user-config': fc.constant(undefined),
  audiodev: fc.constant('none,id=snd1'),
  drive: fc.constantFrom('if=none,id=cd1,media=cdrom', 'if=ide,index=1,media=cdrom'),
  usbdevice: fc.constantFrom('tablet', 'mouse'),
};

function globals(): fc.Arbitrary<string> {
  const all = [...CHIPS.keys(), ...DEVICE_TYPES].flatMap((type) =>
    [...(propertiesOf(type) ?? CHIPS.get(type) ?? [])].flatMap((property) => {
      const kind = kindOfProperty(property) as KindName;
      return 'names' in KINDS[kind] ? [] : [{ type, property, kind }];
    }),
  );
  return fc
    .constantFrom(...all)
    .chain(({ type, property, kind }) =>
      VALUES[kind].map((value) => `driver=${type},property=${property},value=${escaped(value)}`),
    );
}

const option = fc
  .constantFrom(...(Object.keys(OPTION_VALUES) as GuestSpec['options'][number]['name'][]))
  .chain((name) =>
    OPTION_VALUES[name].map((value) => (value === undefined ? { name } : { name, value })),
  );

/** A machine has one TPM, which each description here has already. */
const TYPES = DEVICE_TYPES.filter((type) => !/^(tpm-|vfio-)/.test(type));
const device = fc.constantFrom(...TYPES).chain((driver) =>
  fc
    .subarray([...(propertiesOf(driver) ?? []), 'bus'])
    .map((names) => names.slice(0, 6))
    .chain((names) =>
      fc.record(
        Object.fromEntries(
          names.map((name) => [name, VALUES[(kindOfProperty(name) ?? 'bus') as KindName]]),
        ),
      ),
    )
    .map((props) => ({ driver, props: { ...props } as Record<string, Scalar> })),
);

const NODE: NonNullable<GuestSpec['blockNodes']>[number] = {
  node: 'node-0',
  format: 'qcow2',
  file: 'file-0',
  readOnly: false,
  direct: true,
  discard: 'unmap',
  fileDiscard: 'ignore',
  detectZeroes: 'off',
  aio: 'threads',
  locking: 'auto',
  tuning: { 'lazy-refcounts': true, 'cache-size': 4096 },
};

/** With something of every list, so that what a mutation looks for is there. */
export const description: fc.Arbitrary<GuestSpec> = fc
  .record({
    options: fc.array(option, { maxLength: 4 }),
    devices: fc.array(device, { maxLength: 4 }),
    append: text,
    string: text,
    mac: fc.constantFrom('52:54:00:00:00:01', '52:54:00:00:00:02'),
  })
  .map(({ options, devices, append, string, mac }) => ({
    format: 1,
    arch: 'x86_64',
    machine: { type: 'pc-q35-7.2', props: { usb: 'off', 'memory-backend': 'mem.0' } },
    accelerator: { name: 'tcg', props: { thread: 'multi', 'tb-size': '256' } },
    cpu: {
      model: 'max',
      identity: { family: 15, 'model-id': 'A Processor' },
      features: ['avx', 'sse2'],
      words: [],
      switches: { pmu: true, 'hv-vendor-id': 'KVM' },
    },
    memory: { bytes: 512 << 20, slots: 2, maxBytes: 2 ** 33 },
    smp: { cpus: 1 },
    name: 'web1',
    options: [
      { name: 'nodefaults' },
      { name: 'audiodev', value: 'none,id=snd0' },
      { name: 'drive', value: 'if=none,id=cd0' },
      ...options,
    ],
    images: { kernel: { name: 'vmlinuz', bytes: 7, sha256: 'a'.repeat(64) } },
    append,
    fwCfg: [{ name: 'opt/a', string }],
    objects: [
      { type: 'memory-backend-ram', id: 'mem.0', props: { size: 536_870_912 } },
      { type: 'iothread', id: 'io1', props: {} },
      { type: 'rng-random', id: 'rng0', props: { filename: '/dev/urandom' } },
    ],
    chardevs: [
      {
        id: 'char-0',
        backend: { kind: 'socket', name: 'agent.sock', mux: true, log: 'agent.log' },
      },
      { id: 'char-1', backend: { kind: 'ringbuf', props: { size: '64K' } } },
    ],
    ports: [
      { option: 'serial', backend: { kind: 'file', name: 'serial.log' } },
      { option: 'serial', backend: { kind: 'chardev', id: 'char-1' } },
    ],
    monitors: [{ kind: 'qmp', name: 'second.sock' }],
    netdevs: [
      { type: 'tap', id: 'n0', bridge: 'br0', mac, vhost: true, queues: 2 },
      { type: 'hubport', id: 'n1', hubid: 0 },
    ],
    devices: [
      { driver: 'virtio-net-pci', id: 'nic-0', props: { netdev: 'n0', mac } },
      ...devices.map((each, index) => ({ ...each, id: `d${index}` })),
      { driver: 'tpm-crb', id: 'tpm-0', props: { tpmdev: 'tpm0', ppi: false } },
    ],
    blockNodes: [
      NODE,
      { ...NODE, node: 'pflash0-image', file: 'pflash0-file', format: 'raw', readOnly: true },
      { ...NODE, node: 'pflash1-image', file: 'pflash1-file', format: 'raw' },
    ],
    flash: [
      {
        unit: 0,
        node: 'pflash0-image',
        image: { name: 'CODE.fd', bytes: 7, sha256: 'b'.repeat(64) },
      },
      { unit: 1, node: 'pflash1-image' },
    ],
    tpm: {
      id: 'tpm0',
      chardev: 'chrtpm',
      version: '2.0',
      migrationKey: { mode: 'aes-256-cbc', kdf: 'pbkdf2' },
    },
    ramBlocks: [{ name: 'pc.ram', bytes: 512 << 20 }],
  }));
