import { refused, warned, type Shape } from '../shape.ts';
import { PVE_Q35 } from './pve-q35.ts';

/** As `qm showcmd` prints them. */
const OURS = `-qmp unix:/run/guests/vm.sock,server=on,wait=off`;

const HEAD = (
  id: number,
): string => `/usr/bin/kvm -id ${id} -name 'web1,debug-threads=on' -no-shutdown \\
-chardev 'socket,id=qmp,path=/var/run/qemu-server/${id}.qmp,server=on,wait=off' -mon 'chardev=qmp,mode=control' \\
-pidfile /var/run/qemu-server/${id}.pid -daemonize \\
-smbios 'type=1,uuid=7b10d7af-b932-4c66-b2c3-3996152ec465' -smp '2,sockets=1,cores=2,maxcpus=2' -nodefaults \\
-boot 'menu=on,strict=on,reboot-timeout=1000' -vnc 'unix:/var/run/qemu-server/${id}.vnc,password=on' \\
-cpu qemu64,+aes,enforce,+kvm_pv_eoi,+kvm_pv_unhalt,+pni,+popcnt,+sse4.1,+sse4.2,+ssse3 -m 256`;

const I440FX = `-global 'PIIX4_PM.disable_s3=1' -global 'PIIX4_PM.disable_s4=1' \\
-device 'pci-bridge,id=pci.1,chassis_nr=1,bus=pci.0,addr=0x1e' \\
-device 'pci-bridge,id=pci.2,chassis_nr=2,bus=pci.0,addr=0x1f' \\
-device 'vmgenid,guid=c773c261-d800-4348-9f5d-167fadd53cf8' \\
-device 'piix3-usb-uhci,id=uhci,bus=pci.0,addr=0x1.0x2' -device 'usb-tablet,id=tablet,bus=uhci.0,port=1' \\
-device 'VGA,id=vga,bus=pci.0,addr=0x2' \\
-device 'virtio-balloon-pci,id=balloon0,bus=pci.0,addr=0x3,free-page-reporting=on' \\
-drive 'if=none,id=drive-ide2,media=cdrom,aio=io_uring' \\
-device 'ide-cd,bus=ide.1,unit=0,drive=drive-ide2,id=ide2,bootindex=200'`;

const SCSI = (
  id: number,
  more: string,
): string => `-device 'virtio-scsi-pci,id=scsihw0,bus=pci.0,addr=0x5' \\
-drive 'file=/var/lib/vz/images/${id}/vm-${id}-disk-0.qcow2,if=none,id=drive-scsi0,discard=on,format=qcow2,cache=none${more},detect-zeroes=unmap' \\
-device 'scsi-hd,bus=scsihw0.0,channel=0,scsi-id=0,lun=0,drive=drive-scsi0,id=scsi0,bootindex=100'`;

/** Proxmox 9: a throttle node on each disk, also where nothing is limited. */
const THROTTLED = (
  id: number,
): string => `-object '{"id":"throttle-drive-scsi0","limits":{"bps-read":52428800,"iops-write":1000,"iops-write-max":4000,"iops-write-max-length":10},"qom-type":"throttle-group"}' \\
-object '{"id":"throttle-drive-ide2","limits":{},"qom-type":"throttle-group"}' \\
-device 'virtio-scsi-pci,id=scsihw0,bus=pci.0,addr=0x5' \\
-blockdev '{"detect-zeroes":"unmap","discard":"unmap","driver":"throttle","file":{"cache":{"direct":true,"no-flush":false},"detect-zeroes":"unmap","discard":"unmap","driver":"qcow2","file":{"aio":"io_uring","cache":{"direct":true,"no-flush":false},"detect-zeroes":"unmap","discard":"unmap","driver":"file","filename":"/var/lib/vz/images/${id}/vm-${id}-disk-0.qcow2","node-name":"e6b0d2f2c8a94"},"node-name":"f6b0d2f2c8a94","read-only":false},"node-name":"drive-scsi0","throttle-group":"throttle-drive-scsi0"}' \\
-device 'scsi-hd,bus=scsihw0.0,channel=0,scsi-id=0,lun=0,drive=drive-scsi0,id=scsi0,device_id=drive-scsi0,bootindex=100,write-cache=on' \\
-blockdev '{"driver":"throttle","file":{"cache":{"direct":false,"no-flush":false},"driver":"raw","file":{"aio":"io_uring","cache":{"direct":false,"no-flush":false},"driver":"file","filename":"/var/lib/vz/template/iso/a.iso","node-name":"e1c0d2f2c8a94"},"node-name":"f1c0d2f2c8a94","read-only":true},"node-name":"drive-ide2","read-only":true,"throttle-group":"throttle-drive-ide2"}' \\
-device 'ide-cd,bus=ide.1,unit=0,drive=drive-ide2,id=ide2,bootindex=101'`;

const NIC = (
  id: number,
): string => `-netdev 'type=tap,id=net0,ifname=tap${id}i0,script=/var/lib/qemu-server/pve-bridge,downscript=/var/lib/qemu-server/pve-bridgedown,vhost=on' \\
-device 'virtio-net-pci,mac=A2:C0:43:77:08:A0,netdev=net0,bus=pci.0,addr=0x12,id=net0,rx_queue_size=1024,tx_queue_size=256,bootindex=300'`;

const host = (id: number) =>
  ({
    images: { [`/var/lib/vz/images/${id}/vm-${id}-disk-0.qcow2`]: 'qcow2' },
    texts: {
      '/var/lib/qemu-server/pve-bridge': '#!/bin/sh\nip link set "$1" up master vmbr0\n',
      '/var/lib/qemu-server/pve-bridgedown': '#!/bin/sh\n',
      '/usr/share/qemu-server/pve-q35-4.0.cfg': PVE_Q35,
    },
    taps: { [`tap${id}i0`]: 'vmbr0' },
  }) as const;

const CODE = '/usr/share/pve-edk2-firmware/OVMF_CODE_4M.secboot.fd';
const store = (id: number, format: string): string =>
  `/var/lib/vz/images/${id}/vm-${id}-disk-1.${format}`;

/** `bios: ovmf` with an `efidisk0`. */
const UEFI = (id: number, format: string, more: string): string =>
  `-drive 'if=pflash,unit=0,format=raw,readonly=on,file=${CODE}' -drive 'if=pflash,unit=1,id=drive-efidisk0,format=${format},file=${store(id, format)}${more}'`;

const Q35 = (id: number): string =>
  `${HEAD(id)} -readconfig /usr/share/qemu-server/pve-q35-4.0.cfg -device 'vmgenid,guid=54d1c06c-8f5b-440f-b5b2-6eab1380e13d' -device 'usb-tablet,id=tablet,bus=ehci.0,port=1' -device 'VGA,id=vga,bus=pcie.0,addr=0x1' -device 'virtio-balloon-pci,id=balloon0,bus=pci.0,addr=0x3,free-page-reporting=on' ${SCSI(id, '')} ${NIC(id)} -machine 'type=q35+pve0' ${OURS}`;

/** `tpmstate0`. */
const TPM = (id: number): string =>
  `-chardev 'socket,id=tpmchar,path=/var/run/qemu-server/${id}.swtpm' -tpmdev 'emulator,id=tpmdev,chardev=tpmchar' -device 'tpm-tis,tpmdev=tpmdev'`;

export const PROXMOX: readonly Shape[] = [
  {
    name: 'proxmox-8-i440fx-no-second-monitor',
    by: 'Proxmox VE',
    whole: true,
    what: 'Proxmox 8 as it is: its only QMP socket is Proxmox’s own',
    line: `${HEAD(100)} ${I440FX} ${SCSI(100, '')} ${NIC(100)} -machine 'type=pc+pve0'`,
    aside: ['program', 'vhost', 'proxmox-build', 'daemon'],
    host: host(100),
    expected: refused('GODWIT_GUEST_MANAGED', 'Proxmox VE'),
  },
  {
    name: 'proxmox-8-i440fx',
    by: 'Proxmox VE',
    whole: true,
    what: 'Proxmox 8: a SCSI disk, an empty CD drive, a tap that its script puts into a bridge',
    line: `${HEAD(101)} ${I440FX} ${SCSI(101, '')} ${NIC(101)} -machine 'type=pc+pve0' ${OURS}`,
    aside: ['program', 'vhost', 'proxmox-build', 'daemon'],
    host: host(101),
    expected: warned('-vnc'),
  },
  {
    name: 'proxmox-8-throttled-io-uring',
    by: 'Proxmox VE',
    whole: true,
    what: 'Proxmox 8: a disk by io_uring with limits of its throughput',
    line: `${HEAD(102)} ${I440FX} ${SCSI(102, ',aio=io_uring,throttling.bps-read=52428800,throttling.iops-write=1000')} -machine 'type=pc-i440fx-7.2+pve0' ${OURS}`,
    aside: ['program', 'proxmox-build', 'daemon'],
    host: host(102),
    expected: warned('-vnc', 'io_uring'),
  },
  {
    name: 'proxmox-9-throttle-nodes',
    by: 'Proxmox VE',
    whole: true,
    what: 'Proxmox 9: a throttle node on each disk, one with limits, and an ISO',
    line: `${HEAD(104)} ${I440FX.replace(/-drive .*$/s, '')} ${THROTTLED(104)} -machine 'type=pc-i440fx-7.2+pve0' ${OURS}`,
    aside: ['program', 'proxmox-build', 'daemon'],
    host: {
      images: {
        '/var/lib/vz/images/104/vm-104-disk-0.qcow2': 'qcow2',
        '/var/lib/vz/template/iso/a.iso': 'iso',
      },
    },
    expected: warned('-vnc', 'io_uring'),
  },
  {
    name: 'proxmox-8-q35',
    by: 'Proxmox VE',
    whole: true,
    what: 'Proxmox 8 on q35: its buses come from a file that `-readconfig` names',
    line: Q35(103),
    aside: ['program', 'vhost', 'proxmox-build', 'daemon'],
    host: host(103),
    expected: warned('-vnc'),
  },
  {
    name: 'proxmox-8-q35-uefi',
    by: 'Proxmox VE',
    whole: true,
    what: 'Proxmox 8 on q35 with UEFI firmware, its EFI disk a raw file whose size is said',
    line: `${Q35(104)} ${UEFI(104, 'raw', ',size=540672')}`,
    aside: ['program', 'vhost', 'proxmox-build', 'daemon'],
    host: { ...host(104), firmware: { [CODE]: 'secure-code', [store(104, 'raw')]: 'variables' } },
    expected: warned('-vnc'),
  },
  {
    name: 'proxmox-8-q35-uefi-qcow2',
    by: 'Proxmox VE',
    what: 'The same with its EFI disk in a qcow2 image',
    line: `${Q35(105)} ${UEFI(105, 'qcow2', '')}`,
    aside: ['program', 'vhost', 'proxmox-build', 'daemon'],
    host: {
      ...host(105),
      firmware: { [CODE]: 'secure-code', [store(105, 'qcow2')]: 'variables-qcow2' },
    },
    expected: warned('-vnc'),
  },
  {
    name: 'proxmox-8-q35-tpm',
    by: 'Proxmox VE',
    whole: true,
    what: 'Proxmox 8 as for Windows 11: UEFI firmware for secure boot, and a TPM',
    line: `${Q35(106)} ${UEFI(106, 'raw', ',size=540672')} ${TPM(106)}`,
    aside: ['program', 'vhost', 'proxmox-build', 'daemon'],
    host: {
      ...host(106),
      firmware: { [CODE]: 'secure-code', [store(106, 'raw')]: 'variables' },
      tpms: { '/var/run/qemu-server/106.swtpm': 'plain' },
    },
    expected: warned('-vnc'),
  },
];
