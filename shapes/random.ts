import fc from 'fast-check';
import { MOVED, type ImageKind, type Shape } from './shape.ts';

/** Guests of random parts that QEMU takes together; each of them is expected to move. Pure. */

const MACHINES = [
  'q35',
  'pc',
  'q35,smm=off',
  'q35,hpet=off,vmport=off',
  'pc-q35-6.2',
  'pc-i440fx-5.1',
];
const CPUS = ['qemu64', 'max', 'Nehalem', 'qemu64,+ssse3,-svm', 'Opteron_G3'];
const MEMORIES = [
  '',
  '-mem-path /dev/shm',
  '-object memory-backend-ram,id=ram0,size=128M -numa node,memdev=ram0',
  '-object memory-backend-memfd,id=ram0,size=128M,share=on -numa node,memdev=ram0',
  '-object memory-backend-file,id=ram0,size=128M,share=on,mem-path=/dev/shm -numa node,memdev=ram0',
];
/** Each at most once; all of them together have room on every machine. */
const DEVICES = [
  '-device virtio-balloon-pci,id=balloon0',
  '-object rng-random,id=objrng0,filename=/dev/urandom -device virtio-rng-pci,rng=objrng0,id=rng0',
  '-device virtio-serial-pci,id=vser0 -chardev null,id=cser0 -device virtserialport,bus=vser0.0,chardev=cser0,name=org.a',
  '-chardev socket,id=csock0,path=/run/guests/console.sock,server=on,wait=off -device isa-serial,chardev=csock0',
  '-chardev pty,id=cpty0 -device isa-serial,chardev=cpty0,index=1',
  '-device VGA,id=vga0,vgamem_mb=16',
  '-device i6300esb,id=wd0',
  '-device vmgenid,guid=auto',
  '-device pvpanic',
  '-audiodev none,id=snd0 -device AC97,audiodev=snd0',
  '-netdev hubport,id=net0,hubid=0 -device virtio-net-pci,netdev=net0,mac=52:54:00:00:09:01',
  '-netdev hubport,id=net1,hubid=0 -device e1000,netdev=net1,mac=52:54:00:00:09:02',
  '-smbios type=1,serial=random',
  '-rtc base=localtime',
  '-boot menu=on',
];
const INPUTS = ['usb-tablet', 'usb-kbd', 'usb-mouse', 'usb-hub'];
const KINDS = ['raw', 'qcow2', 'iso'] as const satisfies readonly ImageKind[];
const BUSES = ['virtio', 'scsi', 'usb'] as const;

const disk = fc.record({
  kind: fc.constantFrom(...KINDS),
  bus: fc.constantFrom(...BUSES),
  form: fc.constantFrom('drive' as const, 'blockdev' as const),
  cache: fc.constantFrom('none', 'writeback'),
  discard: fc.constantFrom('unmap', 'ignore'),
  hasThread: fc.boolean(),
});
type Disk = typeof disk extends fc.Arbitrary<infer T> ? T : never;

const guest = fc.record({
  machine: fc.constantFrom(...MACHINES),
  cpu: fc.constantFrom(...CPUS),
  processors: fc.integer({ min: 1, max: 4 }),
  memory: fc.constantFrom(...MEMORIES),
  devices: fc.subarray(DEVICES),
  inputs: fc.array(fc.constantFrom(...INPUTS), { maxLength: 3 }),
  disks: fc.array(disk, { maxLength: 4 }),
});
type Guest = typeof guest extends fc.Arbitrary<infer T> ? T : never;

export const RANDOM: fc.Arbitrary<Shape> = guest.map(shapeOf);

const MONITOR = '-qmp unix:/run/guests/r.qmp,server=on,wait=off';
const BASE = `qemu-system-x86_64 -nodefaults -display none -name random -m 128 ${MONITOR}`;

function shapeOf({ machine, cpu, processors, memory, devices, inputs, disks }: Guest): Shape {
  const hasUsb = inputs.length > 0 || disks.some(({ bus }) => bus === 'usb');
  const words = [
    BASE,
    `-M ${machine} -cpu ${cpu} -smp ${processors}`,
    memory,
    ...(hasUsb ? ['-device qemu-xhci,id=usb,p2=8,p3=8'] : []),
    ...(disks.some(({ bus }) => bus === 'scsi') ? ['-device virtio-scsi-pci,id=scsi0'] : []),
    ...devices,
    ...disks.map(diskWords),
    ...inputs.map((driver) => `-device ${driver},bus=usb.0`),
  ];
  const images = Object.fromEntries(disks.map(({ kind }, at) => [fileOf(at), kind]));
  return {
    name: 'random',
    by: 'trait',
    what: 'a guest of random parts',
    line: words.filter((word) => word !== '').join(' '),
    aside: ['program'],
    host: { images },
    expected: MOVED,
  };
}

const fileOf = (at: number): string => `/srv/vm/r${at}.img`;

function diskWords({ kind, bus, form, cache, discard, hasThread }: Disk, at: number): string {
  const format = kind === 'qcow2' ? 'qcow2' : 'raw';
  const readOnly = kind === 'iso' ? 'on' : 'off';
  const direct = cache === 'none' ? 'on' : 'off';
  const source =
    form === 'drive'
      ? `-drive file=${fileOf(at)},format=${format},if=none,id=n${at},cache=${cache},discard=${discard},readonly=${readOnly}`
      : `-blockdev driver=file,filename=${fileOf(at)},node-name=f${at},cache.direct=${direct},discard=${discard},read-only=${readOnly} -blockdev driver=${format},file=f${at},node-name=n${at},cache.direct=${direct},discard=${discard},read-only=${readOnly}`;
  const thread = hasThread && bus === 'virtio';
  const device = {
    virtio: `virtio-blk-pci,drive=n${at},id=disk${at}${thread ? `,iothread=io${at}` : ''}`,
    scsi: `scsi-hd,drive=n${at},id=disk${at},bus=scsi0.0`,
    usb: `usb-storage,drive=n${at},id=disk${at},bus=usb.0`,
  }[bus];
  return `${thread ? `-object iothread,id=io${at} ` : ''}${source} -device ${device}`;
}
