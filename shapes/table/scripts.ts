import { MOVED, refused, warned, type Shape } from '../shape.ts';

/** As administrators start guests by hand, from units and from scripts. */
export const SCRIPTS: readonly Shape[] = [
  {
    name: 'script-drive-virtio-tap',
    by: 'script',
    whole: true,
    what: 'A server from a systemd unit: one disk by `-drive if=virtio`, one tap, one QMP socket',
    line: `qemu-system-x86_64 -name web1 -machine q35,accel=kvm -cpu host -smp 2 -m 256 -drive file=/srv/vm/web1.qcow2,if=virtio,format=qcow2,cache=none,aio=native,discard=unmap -netdev tap,id=n0,ifname=tapweb1,script=no,downscript=no -device virtio-net-pci,netdev=n0,mac=52:54:00:12:34:56 -qmp unix:/run/guests/web1.qmp,server=on,wait=off -serial none -display none`,
    aside: ['program', 'accelerator', 'cpu-host'],
    host: { images: { '/srv/vm/web1.qcow2': 'qcow2' }, taps: { tapweb1: 'br0' } },
    expected: MOVED,
  },
  {
    name: 'script-cloud-init',
    by: 'script',
    whole: true,
    what: 'A cloud image with its seed as a read-only ISO, and a network of QEMU’s own',
    line: `qemu-system-x86_64 -name cloud1 -enable-kvm -m 256 -smp 1 -nographic -device virtio-net-pci,netdev=net0 -netdev user,id=net0,hostfwd=tcp::2222-:22 -drive if=virtio,format=qcow2,file=/srv/vm/noble.img -drive if=virtio,format=raw,file=/srv/vm/seed.img,read-only=on -qmp unix:/run/guests/cloud1.qmp,server,nowait`,
    aside: ['forwards', 'program', 'accelerator'],
    host: { images: { '/srv/vm/noble.img': 'qcow2', '/srv/vm/seed.img': 'iso' } },
    expected: warned('user network'),
  },
  {
    name: 'script-hda-cdrom',
    by: 'script',
    whole: true,
    what: '`-hda` and `-cdrom` with nothing said of their formats',
    line: `qemu-system-x86_64 -M pc -m 256 -hda /srv/vm/old.img -cdrom /srv/iso/debian.iso -boot d -vnc :1 -qmp unix:/run/guests/old.qmp,server,nowait`,
    aside: ['program'],
    host: { images: { '/srv/vm/old.img': 'raw', '/srv/iso/debian.iso': 'iso' } },
    expected: refused('GODWIT_DISK_FORMAT', 'old.img'),
  },
  {
    name: 'script-uefi',
    by: 'script',
    whole: true,
    what: 'UEFI firmware as guides show it: two drives without units, the second a copy of the template',
    line: `qemu-system-x86_64 -name win11 -machine q35,accel=kvm,smm=off -cpu host,hv_relaxed,hv_spinlocks=0x1fff,hv_vapic,hv_time -m 256 -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd -drive if=pflash,format=raw,file=/srv/vm/win11_VARS.fd -drive file=/srv/vm/win11.qcow2,if=virtio,format=qcow2 -display none -qmp unix:/run/guests/win11.qmp,server=on,wait=off`,
    aside: ['program', 'accelerator', 'cpu-host'],
    host: {
      images: { '/srv/vm/win11.qcow2': 'qcow2' },
      firmware: {
        '/usr/share/OVMF/OVMF_CODE_4M.fd': 'code',
        '/srv/vm/win11_VARS.fd': 'variables',
      },
    },
    expected: MOVED,
  },
];
