import { MOVED, refused, warned } from '../shape.ts';
import type { Expected, Shape } from '../shape.ts';

const BASE =
  'qemu-system-x86_64 -nodefaults -display none -m 128 -qmp unix:/run/guests/t.qmp,server=on,wait=off';

type More = Partial<Pick<Shape, 'host' | 'since' | 'once' | 'aside'>>;

/** One trait of a guest, on the least that it takes. */
function trait(
  name: string,
  what: string,
  words: string,
  expected: Expected,
  more: More = {},
): Shape {
  return {
    name,
    by: 'trait',
    what,
    line: `${BASE} ${words}`,
    expected,
    aside: ['program'],
    ...more,
  };
}

const CD = { images: { '/srv/iso/a.iso': 'iso' } } as const;
const TWO = { images: { '/srv/vm/a.img': 'raw', '/srv/vm/b.img': 'raw' } } as const;
const OVERLAY = {
  images: { '/srv/vm/base.qcow2': 'qcow2', '/srv/vm/top.qcow2': { backing: '/srv/vm/base.qcow2' } },
} as const;
const FLOPPY = { images: { '/srv/vm/f.img': 'floppy' } } as const;
const UEFI = {
  firmware: { '/usr/share/OVMF/OVMF_CODE_4M.fd': 'code', '/srv/vm/VARS.fd': 'variables' },
} as const;
const DISK = { images: { '/srv/vm/a.img': 'raw' } } as const;

export const TRAITS: readonly Shape[] = [
  trait(
    'name-with-spaces',
    'a name with spaces and an umlaut',
    `-M q35 -name 'Büro Server 1'`,
    MOVED,
  ),
  trait(
    'name-with-commas',
    'a name with a comma and a slash',
    `-M q35 -name 'guest=shop,,eu/web'`,
    MOVED,
  ),
  trait(
    'name-longer-than-63',
    'a name of 80 characters',
    `-M q35 -name ${'long-'.repeat(16)}`,
    MOVED,
  ),
  trait('name-of-the-process', '`-name process=`', `-M q35 -name web,process=web-vm`, MOVED),
  trait(
    'uuid-of-no-version',
    'a UUID that is of no known version',
    `-M q35 -uuid 12345678-1234-0000-0000-123456789abc`,
    MOVED,
  ),
  trait(
    'uuid-upper-case',
    'a UUID in upper case',
    `-M q35 -uuid 6F2D4B86-8D0E-4F55-9AB4-0B0B4A6D6A01`,
    MOVED,
  ),
  trait(
    'device-json-and-key-value',
    'one bus as key=value and another in JSON: QEMU makes the first ones first',
    `-M q35 -device '{"driver":"pcie-root-port","id":"rp1","chassis":1}' -device pcie-root-port,id=rp2,chassis=2 -device '{"driver":"virtio-balloon-pci","bus":"rp2","id":"b0"}'`,
    MOVED,
  ),
  trait(
    'iso-without-format',
    'a read-only ISO without `format=`',
    `-M q35 -drive file=/srv/iso/a.iso,media=cdrom,if=none,id=cd -device ide-cd,drive=cd`,
    MOVED,
    { host: CD },
  ),
  trait(
    'cd-empty',
    'a CD drive that was never filled',
    `-M pc -drive if=none,id=cd,media=cdrom -device ide-cd,drive=cd,id=cd0`,
    MOVED,
  ),
  trait(
    'cd-ejected',
    'a CD drive whose disc was taken out',
    `-M pc -drive if=none,id=cd,media=cdrom,file=/srv/iso/a.iso,format=raw -device ide-cd,drive=cd,id=cd0`,
    MOVED,
    { host: CD, once: [['eject', { id: 'cd0', force: true }]] },
  ),
  trait(
    'audiodev-json',
    'an audio backend in JSON',
    `-M q35 -audiodev '{"driver":"none","id":"snd0"}' -device intel-hda -device hda-duplex,audiodev=snd0`,
    MOVED,
  ),
  trait(
    'audiodev-other-order',
    'an audio backend whose id stands first',
    `-M q35 -audiodev id=snd0,driver=none -device AC97,audiodev=snd0`,
    MOVED,
  ),
  trait('cpu-qemu32', 'a processor of 32 bits', `-M pc -cpu qemu32`, MOVED),
  trait('machine-isapc', 'the machine without PCI', `-M isapc -cpu 486`, MOVED),
  trait(
    'network-user',
    'a network of QEMU’s own',
    `-M q35 -netdev user,id=n0 -device e1000,netdev=n0`,
    warned('user network'),
  ),
  trait(
    'monitor-second',
    'two QMP sockets',
    `-M q35 -qmp unix:/run/guests/second.qmp,server=on,wait=off`,
    MOVED,
  ),
  trait(
    'disk-raw',
    'a raw disk',
    `-M q35 -drive file=/srv/vm/a.img,format=raw,if=none,id=d0 -device virtio-blk-pci,drive=d0`,
    MOVED,
    { host: DISK },
  ),
  trait(
    'disk-without-format',
    'a disk that is written to, without `format=`',
    `-M q35 -drive file=/srv/vm/a.img,if=none,id=d0 -device virtio-blk-pci,drive=d0`,
    refused('GODWIT_DISK_FORMAT', 'a.img'),
    { host: DISK },
  ),
  trait(
    'disk-limited-drive',
    'a disk with `throttling.*`, in a group with another',
    `-M q35 -drive file=/srv/vm/a.img,format=raw,if=none,id=d0,discard=unmap,throttling.bps-total=1000000,throttling.bps-total-max=9000000,throttling.bps-total-max-length=5,throttling.group=slow -device virtio-blk-pci,drive=d0,id=v0 -drive file=/srv/vm/b.img,format=raw,if=none,id=d1,throttling.group=slow -device virtio-blk-pci,drive=d1,id=v1`,
    MOVED,
    { host: TWO },
  ),
  trait(
    'disk-limited-while-it-ran',
    'a disk whose throughput was limited over QMP',
    `-M q35 -blockdev driver=file,filename=/srv/vm/a.img,node-name=f0 -blockdev driver=raw,file=f0,node-name=r0 -device virtio-blk-pci,drive=r0,id=v0`,
    MOVED,
    {
      host: DISK,
      once: [
        [
          'block_set_io_throttle',
          {
            id: '/machine/peripheral/v0/virtio-backend',
            bps: 0,
            bps_rd: 2_000_000,
            bps_wr: 0,
            iops: 0,
            iops_rd: 0,
            iops_wr: 300,
          },
        ],
      ],
    },
  ),
  trait(
    'disk-throttle-node',
    'a throttle node whose limits were changed while it ran',
    `-M q35 -object throttle-group,id=tg,x-iops-total=100 -blockdev driver=throttle,node-name=t0,throttle-group=tg,file.driver=raw,file.file.driver=file,file.file.filename=/srv/vm/a.img -device virtio-blk-pci,drive=t0`,
    MOVED,
    {
      host: DISK,
      once: [
        [
          'qom-set',
          {
            path: '/objects/tg',
            property: 'limits',
            value: { 'iops-total': 50, 'bps-write': 900 },
          },
        ],
      ],
    },
  ),
  trait(
    'disk-copy-on-read-drive',
    '`copy-on-read=on` on an overlay',
    `-M q35 -drive file=/srv/vm/top.qcow2,format=qcow2,if=none,id=d0,copy-on-read=on -device virtio-blk-pci,drive=d0`,
    MOVED,
    { host: OVERLAY },
  ),
  trait(
    'disk-copy-on-read-node',
    'a copy-on-read node, as libvirt makes it',
    `-M q35 -blockdev '{"driver":"file","filename":"/srv/vm/base.qcow2","node-name":"libvirt-2-storage"}' -blockdev '{"node-name":"libvirt-2-format","read-only":true,"driver":"qcow2","file":"libvirt-2-storage","backing":null}' -blockdev '{"driver":"file","filename":"/srv/vm/top.qcow2","node-name":"libvirt-1-storage"}' -blockdev '{"node-name":"libvirt-1-format","read-only":false,"driver":"qcow2","file":"libvirt-1-storage","backing":"libvirt-2-format"}' -blockdev '{"driver":"copy-on-read","node-name":"libvirt-CoR-vda","file":"libvirt-1-format"}' -device virtio-blk-pci,drive=libvirt-CoR-vda,id=vd0`,
    MOVED,
    { host: OVERLAY },
  ),
  trait(
    'disk-plugged',
    'a disk that was plugged in while it ran',
    `-M q35 -device pcie-root-port,id=rp1,chassis=1 -drive file=/srv/vm/b.img,format=raw,if=none,id=d1,cache=none,aio=native -device virtio-blk-pci,drive=d1`,
    warned('passes discards on'),
    {
      host: TWO,
      once: [
        [
          'blockdev-add',
          {
            driver: 'raw',
            'node-name': 'hot',
            'detect-zeroes': 'on',
            cache: { direct: true },
            file: { driver: 'file', filename: 'srv/vm/a.img' },
          },
        ],
        ['device_add', { driver: 'virtio-blk-pci', id: 'hot0', bus: 'rp1', drive: 'hot' }],
      ],
    },
  ),
  trait(
    'floppy-fda',
    'a floppy by `-drive if=floppy`',
    `-M pc -drive if=floppy,file=/srv/vm/f.img,format=raw`,
    MOVED,
    {
      host: FLOPPY,
    },
  ),
  trait(
    'floppy-fda-q35',
    'a floppy on a machine that has no controller for it by itself',
    `-M q35 -drive if=floppy,file=/srv/vm/f.img,format=raw`,
    MOVED,
    { host: FLOPPY },
  ),
  trait(
    'floppy-device',
    'a floppy drive as a device, as libvirt makes it',
    `-M q35 -device '{"driver":"isa-fdc","id":"fdc0"}' -blockdev '{"driver":"file","filename":"/srv/vm/f.img","node-name":"fs"}' -blockdev '{"driver":"raw","file":"fs","node-name":"ff"}' -device '{"driver":"floppy","unit":0,"drive":"ff","id":"fdc0-0-0"}'`,
    MOVED,
    { host: FLOPPY },
  ),
  trait(
    'usb-storage',
    'a disk on USB',
    `-M q35 -device qemu-xhci,id=usb -drive file=/srv/vm/a.img,format=raw,if=none,id=stick -device usb-storage,drive=stick,id=u0,removable=on`,
    MOVED,
    { host: DISK },
  ),
  trait(
    'usb-storage-node',
    'a USB disk on a block node, as libvirt makes it',
    `-M q35 -device '{"driver":"qemu-xhci","id":"usb"}' -blockdev '{"driver":"file","filename":"/srv/vm/a.img","node-name":"us"}' -blockdev '{"driver":"raw","file":"us","node-name":"uf"}' -device '{"driver":"usb-storage","bus":"usb.0","port":"1","drive":"uf","id":"usb-disk0","removable":false}'`,
    MOVED,
    { host: DISK },
  ),
  trait(
    'nvme',
    'an emulated NVMe disk: no QEMU saves its state',
    `-M q35 -drive file=/srv/vm/a.img,format=raw,if=none,id=d0 -device nvme,drive=d0,serial=n1,id=nvme0`,
    refused('GODWIT_DEVICE_UNMOVABLE', 'nvme0'),
    { host: DISK },
  ),
  trait(
    'ivshmem',
    'memory that is shared with another process',
    `-M q35 -object memory-backend-file,id=m,size=1M,share=on,mem-path=/dev/shm -device ivshmem-plain,memdev=m`,
    refused('GODWIT_DEVICE_UNMOVABLE', 'ivshmem'),
  ),
  trait(
    'uefi-machine-settings',
    'UEFI firmware on block nodes as key=value, the variables without a layer for the format',
    `-M q35,pflash0=fw,pflash1=nv -blockdev driver=raw,node-name=fw,read-only=on,file.driver=file,file.filename=/usr/share/OVMF/OVMF_CODE_4M.fd -blockdev driver=file,node-name=nv,filename=/srv/vm/VARS.fd`,
    MOVED,
    { host: UEFI },
  ),
  trait(
    'uefi-format-guessed',
    '`-pflash`, which says nothing of a format',
    `-M q35 -pflash /usr/share/OVMF/OVMF_CODE_4M.fd -pflash /srv/vm/VARS.fd`,
    refused('GODWIT_DISK_FORMAT', 'VARS.fd'),
    { host: UEFI },
  ),
];
