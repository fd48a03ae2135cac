import { MOVED, refused, warned, type Shape } from '../shape.ts';
import { trait } from './trait.ts';

const TWO = { images: { '/srv/vm/a.img': 'raw', '/srv/vm/b.img': 'raw' } } as const;
const OVERLAY = {
  images: { '/srv/vm/base.qcow2': 'qcow2', '/srv/vm/top.qcow2': { backing: '/srv/vm/base.qcow2' } },
} as const;
const VOLUME = {
  images: { '/dev/vg0/vm-1-disk-0': 'volume', '/dev/vg0/vm-1-disk-1': 'volume-qcow2' },
} as const;
const FLOPPY = { images: { '/srv/vm/f.img': 'floppy' } } as const;
const DISK = { images: { '/srv/vm/a.img': 'raw' } } as const;

const SECRET = '-object secret,id=s0,data=of-its-owner';
const LUKS_NODES =
  `-blockdev '{"driver":"file","filename":"/srv/vm/a.img","node-name":"f0"}' ` +
  `-blockdev '{"driver":"luks","file":"f0","key-secret":"s0","node-name":"n0"}'`;

/** What disks are, and what they are on. */
export const DISK_TRAITS: readonly Shape[] = [
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
    'disk-luks',
    'a disk that is encrypted as LUKS, as libvirt opens it, and a host that has its passphrase',
    `-name luks1 -M q35 ${SECRET} ${LUKS_NODES} -device virtio-blk-pci,drive=n0,id=v0`,
    MOVED,
    { host: { images: { '/srv/vm/a.img': 'luks' }, passphrases: { luks1: 'of-its-owner' } } },
  ),
  trait(
    'disk-luks-qcow2',
    'a qcow2 image whose content is encrypted as LUKS',
    `-name luks1 -M q35 ${SECRET} -drive file=/srv/vm/a.qcow2,format=qcow2,if=none,id=d0,encrypt.format=luks,encrypt.key-secret=s0 -device virtio-blk-pci,drive=d0,id=v0`,
    MOVED,
    {
      host: { images: { '/srv/vm/a.qcow2': 'luks-qcow2' }, passphrases: { luks1: 'of-its-owner' } },
    },
  ),
  trait(
    'disk-luks-no-passphrase',
    'the same, and a host that has no passphrase for it',
    `-name luks1 -M q35 ${SECRET} ${LUKS_NODES} -device virtio-blk-pci,drive=n0,id=v0`,
    refused('GODWIT_HOST_LACKS', 'the passphrase of the encrypted disk v0'),
    { host: { images: { '/srv/vm/a.img': 'luks' } } },
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
    'volume-raw',
    'a volume of LVM: a raw block device',
    `-M q35 -drive file=/dev/vg0/vm-1-disk-0,format=raw,if=none,id=d0,cache=none,aio=native,discard=unmap -device virtio-blk-pci,drive=d0`,
    MOVED,
    { host: VOLUME },
  ),
  trait(
    'volume-host-device',
    'a volume as libvirt opens it, and a qcow2 image on another',
    `-M q35 -blockdev '{"driver":"host_device","filename":"/dev/vg0/vm-1-disk-0","aio":"native","node-name":"s1","cache":{"direct":true,"no-flush":false},"discard":"unmap"}' -blockdev '{"node-name":"f1","read-only":false,"driver":"raw","file":"s1","discard":"unmap"}' -device virtio-blk-pci,drive=f1,id=v0 -blockdev '{"driver":"host_device","filename":"/dev/vg0/vm-1-disk-1","node-name":"s2"}' -blockdev '{"node-name":"f2","driver":"qcow2","file":"s2","backing":null}' -device virtio-blk-pci,drive=f2,id=v1`,
    MOVED,
    { host: VOLUME },
  ),
  trait(
    'nvme',
    'an emulated NVMe disk: no QEMU saves its state',
    `-M q35 -drive file=/srv/vm/a.img,format=raw,if=none,id=d0 -device nvme,drive=d0,serial=n1,id=nvme0`,
    refused('GODWIT_DEVICE_UNMOVABLE', 'nvme0'),
    { host: DISK },
  ),
];
