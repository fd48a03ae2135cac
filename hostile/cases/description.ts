import fc from 'fast-check';
import { DEVICE_TYPES, propertiesOf } from '../../src/drivers/qemu/spec/grammar/devices.ts';
import { CARRIED_OPTIONS, type GuestSpec } from '../../src/drivers/qemu/spec/schema.ts';
import type { Random } from '../../sim/random.ts';
import { description } from '../../test/drivers/qemu/spec/grammar/descriptions.ts';
import type { Facts } from '../facts.ts';
import { spoiled } from '../generate/spoil.ts';

/**
 * Guests as a source would describe them that wants more of the destination than a guest: made from the grammar of
 * descriptions, and from what QEMU itself would open, run or connect to.
 */

/** Properties by which QEMU learns something of its host. */
const OF_A_HOST = [
  'romfile',
  'frudatafile',
  'sdrfile',
  'pcap',
  'filename',
  'file',
  'path',
  'host',
  'evdev',
  'mem-path',
  'script',
  'downscript',
  'helper',
  'fd',
  'sysfsdev',
  'hostdevice',
  'logfile',
  'rootdir',
  'db',
  'chardev',
  'drive',
  'firmware',
  'dump-path',
  'dir',
  'keyfile',
];
/** Types that reach for the host by their nature. */
const REACHING = [
  'vfio-pci',
  'usb-host',
  'usb-redir',
  'virtio-9p-pci',
  'ipmi-bmc-sim',
  'loader',
  'tpm-tis',
  'ivshmem-plain',
  'vhost-user-blk-pci',
  'virtio-input-host-pci',
  'usb-mtp',
  'ivshmem-doorbell',
];
/** Options with a file, a program or an address of the host in them. */
const FORMS = [
  'PATH',
  'file=PATH',
  'type=11,path=PATH',
  'type=0,file=PATH',
  'none,id=x,path=PATH',
  'if=none,id=x,file=PATH',
  'driver=e1000,property=romfile,value=PATH',
  'e1000.romfile=PATH',
  'driver=ipmi-bmc-sim,property=frudatafile,value=PATH',
  'node,nodeid=0,mem-path=PATH',
  'splash=PATH',
  'unix:PATH',
  'exec:PATH',
  'usb-kbd.pcap=PATH',
  'virtio-net-pci.romfile=PATH',
];

/** The description of a guest by that name, for a message to a destination. */
export function describedBy(random: Random, facts: Facts, name: string): unknown {
  const real = { ...facts.description, name };
  const spec = real.spec as GuestSpec;
  const way = random.next();
  if (way < 0.35) return { ...real, spec: reaching(spec, random, facts) };
  const more = enriched(spec, random);
  if (way < 0.55) return { ...real, spec: more };
  return spoiled({ ...real, spec: more }, random, facts);
}

/** With parts that the grammar takes: which of them this host's QEMU takes too is another matter. */
function enriched(spec: GuestSpec, random: Random): GuestSpec {
  const seed = random.whole(0, 2 ** 31 - 1);
  const [made = spec] = fc.sample(description, { seed, numRuns: 1 });
  const some = <T>(list: readonly T[]): T[] => (random.chance(0.5) ? [...list] : []);
  // The TPM of a description is one, and is not added to another.
  const devices = made.devices.filter(({ driver }) => !driver.startsWith('tpm-'));
  const hubs = made.netdevs.filter(({ type }) => type === 'hubport');
  return {
    ...spec,
    options: [...spec.options, ...some(made.options.slice(3))],
    devices: [...spec.devices, ...some(devices.slice(1))],
    objects: [
      ...spec.objects,
      ...some(made.objects.filter(({ type }) => !type.startsWith('memory-'))),
    ],
    chardevs: [...spec.chardevs, ...some(made.chardevs)],
    netdevs: [...spec.netdevs, ...some(hubs)],
    fwCfg: [...spec.fwCfg, ...some(made.fwCfg)],
  };
}

/** With one part that would have QEMU open, run or connect to something. */
function reaching(spec: GuestSpec, random: Random, facts: Facts): unknown {
  const file = random.pick(facts.paths);
  const property = random.pick(OF_A_HOST);
  const types = DEVICE_TYPES.filter((type) => propertiesOf(type) !== undefined);
  const driver = random.chance(0.7) ? random.pick(types) : random.pick(REACHING);
  return random.pick<() => unknown>([
    () => ({ ...spec, devices: [...spec.devices, { driver, props: { [property]: file } }] }),
    () => ({ ...spec, devices: [...spec.devices, known(random, file)] }),
    () => ({ ...spec, devices: [...spec.devices, known(random, file)] }),
    () => ({ ...spec, devices: [...spec.devices, known(random, file)] }),
    () => ({ ...spec, devices: [...spec.devices, known(random, file)] }),
    () => ({ ...spec, devices: [...spec.devices, known(random, file)] }),
    () => ({ ...spec, options: [...spec.options, option(random, file)] }),
    () => ({ ...spec, objects: [...spec.objects, object(random, property, file)] }),
    () => ({ ...spec, machine: { ...spec.machine, props: { [property]: file } } }),
    () => ({ ...spec, chardevs: [{ id: 'x', backend: backend(random, file) }] }),
    () => ({ ...spec, ports: [{ option: 'serial', backend: backend(random, file) }] }),
    () => ({ ...spec, monitors: [...spec.monitors, { kind: 'qmp', name: file }] }),
    () => ({ ...spec, fwCfg: [{ name: 'opt/x', file }] }),
    () => ({ ...spec, images: { kernel: { name: file, bytes: 1, sha256: '0'.repeat(64) } } }),
    () => ({ ...spec, netdevs: [{ type: 'tap', id: 'n', script: file, ifname: 'tap0' }] }),
  ])();
}

/** What QEMU really has: each opens the file where it is let. */
function known(random: Random, file: string): unknown {
  const [driver = '', property = ''] = random
    .pick([
      'virtio-net-pci romfile',
      'e1000 romfile',
      'VGA romfile',
      'ipmi-bmc-sim frudatafile',
      'ipmi-bmc-sim sdrfile',
      'usb-kbd pcap',
      'virtio-rng-pci romfile',
      'qemu-xhci romfile',
    ])
    .split(' ');
  return { driver, props: { [property]: file } };
}

function option(random: Random, file: string): unknown {
  return { name: random.pick(CARRIED_OPTIONS), value: random.pick(FORMS).replace('PATH', file) };
}

function object(random: Random, property: string, file: string): unknown {
  const type = random.pick(['rng-random', 'memory-backend-file', 'secret', 'input-linux']);
  const size = type.startsWith('memory') ? { size: 4096 } : {};
  return { type, id: 'x', props: { ...size, [property]: file, filename: file } };
}

function backend(random: Random, file: string): unknown {
  const kind = random.pick(['file', 'socket', 'pipe', 'serial', 'udp', 'parallel']);
  return { kind, name: file, path: file, mux: false };
}
