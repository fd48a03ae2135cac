import { MOVED, refused, warned } from '../shape.ts';
import type { Shape } from '../shape.ts';
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
  trait(
    'disk-chain-of-three',
    'an overlay of an overlay',
    `-M q35 -drive file=/srv/vm/third.qcow2,format=qcow2,if=none,id=d0 -device virtio-blk-pci,drive=d0`,
    MOVED,
    {
      host: {
        images: {
          '/srv/vm/base.qcow2': 'qcow2',
          '/srv/vm/top.qcow2': { backing: '/srv/vm/base.qcow2' },
          '/srv/vm/third.qcow2': { backing: '/srv/vm/top.qcow2' },
        },
      },
    },
  ),
  trait(
    'disk-read-only',
    'a disk that is only read',
    `-M q35 -drive file=/srv/vm/a.img,format=raw,if=none,id=d0,readonly=on -device virtio-blk-pci,drive=d0`,
    MOVED,
    { host: DISK },
  ),
  trait(
    'disk-serial',
    'a disk that the guest knows by a serial number and a WWN',
    `-M q35 -drive file=/srv/vm/a.img,format=raw,if=none,id=d0 -drive file=/srv/vm/b.img,format=raw,if=none,id=d1 -device virtio-blk-pci,drive=d0,serial=WD-123 -device virtio-scsi-pci -device scsi-hd,drive=d1,serial=S1,wwn=0x5000c50015ea71aa,vendor=ACME,product=disk,ver=1.0`,
    MOVED,
    { host: TWO },
  ),
  trait(
    'disk-blocks-of-4096',
    'a disk with blocks of 4096 bytes that answers errors by stopping',
    `-M q35 -drive file=/srv/vm/a.img,format=raw,if=none,id=d0,werror=stop,rerror=stop -device virtio-blk-pci,drive=d0,logical_block_size=4096,physical_block_size=4096,bootindex=1`,
    MOVED,
    { host: DISK },
  ),
  trait(
    'disk-iothread',
    'two disks, each served by a thread of its own',
    `-M q35 -object iothread,id=io1 -object iothread,id=io2,poll-max-ns=0 -drive file=/srv/vm/a.img,format=raw,if=none,id=d0 -device virtio-blk-pci,drive=d0,iothread=io1,num-queues=2 -drive file=/srv/vm/b.img,format=raw,if=none,id=d1 -device virtio-scsi-pci,id=s0,iothread=io2 -device scsi-hd,drive=d1,bus=s0.0`,
    MOVED,
    { host: TWO },
  ),
  trait(
    'disk-controllers',
    'disks on controllers of other makers',
    `-M q35 -device lsi53c895a,id=lsi -device megasas,id=mega -drive file=/srv/vm/a.img,format=raw,if=none,id=d0 -device scsi-hd,drive=d0,bus=lsi.0,scsi-id=2 -drive file=/srv/vm/b.img,format=raw,if=none,id=d1 -device scsi-hd,drive=d1,bus=mega.0`,
    MOVED,
    { host: TWO },
  ),
  trait(
    'disk-ahci',
    'a disk and a CD on the SATA controller of the machine',
    `-M q35 -drive file=/srv/vm/a.img,format=raw,if=none,id=d0 -device ide-hd,drive=d0,bus=ide.0 -drive if=none,id=cd,media=cdrom -device ide-cd,drive=cd,bus=ide.2`,
    MOVED,
    { host: DISK },
  ),
  trait(
    'disk-if-scsi-and-ide',
    '`-drive` with the machine’s own buses',
    `-M pc -drive file=/srv/vm/a.img,format=raw,index=0 -drive file=/srv/vm/b.img,format=raw,if=ide,bus=1,unit=0,media=disk`,
    MOVED,
    { host: TWO },
  ),
  trait(
    'disk-resized',
    'a disk that was made larger while it ran',
    `-M q35 -blockdev driver=file,filename=/srv/vm/a.img,node-name=f0 -blockdev driver=raw,file=f0,node-name=r0 -device virtio-blk-pci,drive=r0,id=v0`,
    MOVED,
    { host: DISK, once: [['block_resize', { 'node-name': 'r0', size: 33_554_432 }]] },
  ),
  trait(
    'disk-snapshot-while-it-ran',
    'a disk of which a snapshot was made while it ran: it writes into an overlay',
    `-M q35 -drive file=/srv/vm/a.qcow2,format=qcow2,if=none,id=d0 -device virtio-blk-pci,drive=d0,id=v0`,
    MOVED,
    {
      host: { images: { '/srv/vm/a.qcow2': 'qcow2' } },
      once: [
        [
          'blockdev-snapshot-sync',
          { device: 'd0', 'snapshot-file': 'srv/vm/snap.qcow2', format: 'qcow2' },
        ],
      ],
    },
  ),
  trait(
    'cd-changed',
    'a CD drive into which another disc was put',
    `-M pc -drive if=none,id=cd,media=cdrom,file=/srv/iso/a.iso,format=raw -device ide-cd,drive=cd,id=cd0`,
    MOVED,
    {
      host: { images: { '/srv/iso/a.iso': 'iso', '/srv/iso/b.iso': 'iso' } },
      once: [
        [
          'blockdev-change-medium',
          { id: 'cd0', filename: 'srv/iso/b.iso', format: 'raw', force: true },
        ],
      ],
    },
  ),
  trait(
    'disk-snapshot-on',
    '`-snapshot`: what it writes is lost at its end',
    `-M q35 -drive file=/srv/vm/a.img,format=raw,if=none,id=d0,snapshot=on -device virtio-blk-pci,drive=d0`,
    refused('GODWIT_DISK_LOCAL', 'its changes are temporary'),
    { host: DISK },
  ),
  trait(
    'disk-vmdk',
    'an image in a format of another hypervisor',
    `-M q35 -drive file=/srv/vm/a.vmdk,format=vmdk,if=none,id=d0 -device virtio-blk-pci,drive=d0`,
    refused('GODWIT_DISK_LOCAL', 'reached through `vmdk`'),
    { host: { images: { '/srv/vm/a.vmdk': 'vmdk' } } },
  ),
  trait(
    'disk-vvfat',
    'a directory of its host that looks like a disk',
    `-M q35 -drive file=fat:rw:/srv/share,format=raw,if=none,id=d0 -device virtio-blk-pci,drive=d0`,
    refused('GODWIT_DISK_LOCAL', 'reached through `vvfat`'),
    { host: { texts: { '/srv/share/a': 'a' } } },
  ),
  trait(
    'disk-null',
    'a disk of nothing',
    `-M q35 -blockdev driver=null-co,node-name=z0,size=16777216,read-zeroes=on -device virtio-blk-pci,drive=z0,id=v0`,
    refused('GODWIT_DISK_LOCAL', 'reached through `null-co`'),
  ),
  trait(
    'disk-data-file',
    'a qcow2 image whose content lies in another file',
    `-M q35 -drive file=/srv/vm/a.qcow2,format=qcow2,if=none,id=d0 -device virtio-blk-pci,drive=d0`,
    refused('GODWIT_DISK_LINKED', 'as its `data-file`'),
    { host: { images: { '/srv/vm/a.qcow2': { dataFile: '/srv/vm/a.raw' } } } },
  ),
];
