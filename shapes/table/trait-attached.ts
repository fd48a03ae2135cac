import { MOVED, refused, type Shape } from '../shape.ts';
import { trait } from './trait.ts';

const TWO = { images: { '/srv/vm/a.img': 'raw', '/srv/vm/b.img': 'raw' } } as const;
const DISK = { images: { '/srv/vm/a.img': 'raw' } } as const;

/** How guests get to their disks, and what has happened to those meanwhile. */
export const ATTACHED_TRAITS: readonly Shape[] = [
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
