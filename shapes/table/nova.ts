import { MOVED, refused, type Shape } from '../shape.ts';

/** As Nova has libvirt start them: its own system identity, a console that is logged, a disk on an image of the cache. */
const INSTANCE = '/var/lib/nova/instances/0c8a3f8e-4b6f-4f0e-9b2e-6f6c7e1d2a35';
const BASE = '/var/lib/nova/instances/_base/5b3d1f9c7e.img';
const OURS = '-qmp unix:/run/guests/nova.sock,server=on,wait=off';

const LINE = (more: string): string => `/usr/bin/qemu-system-x86_64 \\
-name guest=instance-00000007,debug-threads=on -S \\
-machine pc-i440fx-7.2,usb=off,dump-guest-core=off -accel kvm \\
-cpu Nehalem,vme=on,pdcm=off,x2apic=on,hypervisor=on,tsc-adjust=on -m 256 -overcommit mem-lock=off \\
-smp 1,sockets=1,dies=1,cores=1,threads=1 -uuid 0c8a3f8e-4b6f-4f0e-9b2e-6f6c7e1d2a35 \\
-smbios 'type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova,version=27.1.0,serial=0c8a3f8e-4b6f-4f0e-9b2e-6f6c7e1d2a35,uuid=0c8a3f8e-4b6f-4f0e-9b2e-6f6c7e1d2a35,family=Virtual Machine' \\
-no-user-config -nodefaults \\
-chardev socket,id=charmonitor,fd=20,server=on,wait=off -mon chardev=charmonitor,id=monitor,mode=control \\
-rtc base=utc,driftfix=slew -global kvm-pit.lost_tick_policy=delay -no-shutdown -boot strict=on \\
-device '{"driver":"piix3-usb-uhci","id":"usb","bus":"pci.0","addr":"0x1.0x2"}' \\
-blockdev '{"driver":"file","filename":"${BASE}","node-name":"libvirt-2-storage","cache":{"direct":true,"no-flush":false},"auto-read-only":true,"discard":"unmap"}' \\
-blockdev '{"node-name":"libvirt-2-format","read-only":true,"cache":{"direct":true,"no-flush":false},"driver":"qcow2","file":"libvirt-2-storage"}' \\
-blockdev '{"driver":"file","filename":"${INSTANCE}/disk","node-name":"libvirt-1-storage","cache":{"direct":true,"no-flush":false},"auto-read-only":true,"discard":"unmap"}' \\
-blockdev '{"node-name":"libvirt-1-format","read-only":false,"cache":{"direct":true,"no-flush":false},"driver":"qcow2","file":"libvirt-1-storage","backing":"libvirt-2-format"}' \\
-device '{"driver":"virtio-blk-pci","bus":"pci.0","addr":"0x4","drive":"libvirt-1-format","id":"virtio-disk0","bootindex":1,"write-cache":"on"}' \\
-add-fd set=0,fd=24,opaque=serial0-log \\
-chardev pty,id=charserial0,logfile=/dev/fdset/0,logappend=on \\
-device '{"driver":"isa-serial","chardev":"charserial0","id":"serial0","index":0}' \\
-device '{"driver":"virtio-balloon-pci","id":"balloon0","bus":"pci.0","addr":"0x5"}' \\
-object '{"qom-type":"rng-random","id":"objrng0","filename":"/dev/urandom"}' \\
-device '{"driver":"virtio-rng-pci","rng":"objrng0","id":"rng0","bus":"pci.0","addr":"0x6"}' \\
-device '{"driver":"vmcoreinfo"}' \\
-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny -msg timestamp=on ${more}`;

const CODE = '/usr/share/OVMF/OVMF_CODE_4M.fd';
const STORE = '/var/lib/libvirt/qemu/nvram/instance-00000007_VARS.fd';
const CHIPS = `-blockdev '{"driver":"file","filename":"${CODE}","node-name":"libvirt-pflash0-storage","auto-read-only":true,"discard":"unmap"}' \\
-blockdev '{"node-name":"libvirt-pflash0-format","read-only":true,"driver":"raw","file":"libvirt-pflash0-storage"}' \\
-blockdev '{"driver":"file","filename":"${STORE}","node-name":"libvirt-pflash1-storage","auto-read-only":true,"discard":"unmap"}' \\
-blockdev '{"node-name":"libvirt-pflash1-format","read-only":false,"driver":"raw","file":"libvirt-pflash1-storage"}'`;

const host = {
  images: { [BASE]: 'qcow2', [`${INSTANCE}/disk`]: { backing: BASE } },
  files: {
    20: { listens: '/var/lib/libvirt/qemu/domain-7-instance-00000007/monitor.sock' },
    24: { writes: '/var/lib/nova/instances/console.log' },
  },
} as const;

export const NOVA: readonly Shape[] = [
  {
    name: 'nova-2023-console-log-by-fd',
    by: 'Nova',
    whole: true,
    what: 'Nova 27: an overlay on a cached image, SMBIOS of its own, a console whose log was handed over',
    line: LINE(OURS),
    aside: ['program', 'accelerator'],
    host,
    expected: refused('GODWIT_DEVICE_UNMOVABLE', '-add-fd'),
  },
  {
    name: 'nova-2023',
    by: 'Nova',
    what: 'The same with a console that nobody logs',
    line: LINE(OURS)
      .replace('-add-fd set=0,fd=24,opaque=serial0-log', '')
      .replace(',logfile=/dev/fdset/0,logappend=on', '')
      .replace(`-device '{"driver":"vmcoreinfo"}'`, ''),
    aside: ['program', 'accelerator'],
    host,
    expected: MOVED,
  },
  {
    name: 'nova-2023-uefi',
    by: 'Nova',
    what: 'The same with `hw_firmware_type=uefi`: its variables in libvirt’s own directory',
    line: LINE(OURS)
      .replace('-add-fd set=0,fd=24,opaque=serial0-log', '')
      .replace(',logfile=/dev/fdset/0,logappend=on', '')
      .replace(`-device '{"driver":"vmcoreinfo"}'`, '')
      .replace(
        'dump-guest-core=off',
        `dump-guest-core=off,pflash0=libvirt-pflash0-format,pflash1=libvirt-pflash1-format ${CHIPS}`,
      ),
    aside: ['program', 'accelerator'],
    host: { ...host, firmware: { [CODE]: 'code', [STORE]: 'variables' } },
    expected: MOVED,
  },
];
