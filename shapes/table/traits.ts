import { MOVED, refused, warned, type Shape } from '../shape.ts';
import { trait } from './trait.ts';

const CD = { images: { '/srv/iso/a.iso': 'iso' } } as const;
const UEFI = {
  firmware: { '/usr/share/OVMF/OVMF_CODE_4M.fd': 'code', '/srv/vm/VARS.fd': 'variables' },
} as const;

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
  trait('cpu-qemu32', 'a processor of 32 bits', `-M pc -cpu qemu32`, MOVED, {
    oneVersion: 'QEMU 7.2 gives it 32 bits of physical addresses, and 10.0 gives it 36',
  }),
  trait('machine-isapc', 'the machine without PCI', `-M isapc -cpu 486`, MOVED, {
    oneVersion: 'QEMU keeps no versions of this machine: it cannot go back to an older one',
  }),
  trait(
    'network-user',
    'a network of QEMU’s own',
    `-M q35 -netdev user,id=n0 -device e1000,netdev=n0`,
    warned('user network'),
  ),
  trait(
    'network-user-settings',
    'a network of QEMU’s own with addresses of its choice',
    `-M q35 -netdev user,id=n0,net=10.9.0.0/24,dns=10.9.0.3,hostname=web1,restrict=on -device virtio-net-pci,netdev=n0`,
    warned('user network'),
  ),
  trait(
    'nic-user',
    '`-nic user`, whose NIC is a part of the machine',
    `-M pc -nic user,model=virtio-net-pci,mac=52:54:00:aa:00:01`,
    warned('user network'),
  ),
  trait(
    'nic-user-two',
    'two of `-nic user`, of which one has addresses of its choice',
    `-M q35 -nic user,model=e1000 -nic user,net=10.8.0.0/24,model=e1000,mac=52:54:00:aa:00:03`,
    warned('user network'),
    {
      oneVersion: 'back on QEMU 7.2 the state of a second network of QEMU’s own is unknown',
    },
  ),
  trait(
    'nic-tap',
    '`-nic tap`',
    `-M q35 -nic tap,ifname=tapnic0,script=no,downscript=no,model=virtio-net-pci,mac=52:54:00:aa:00:02`,
    MOVED,
    { host: { taps: { tapnic0: 'br0' } } },
  ),
  trait(
    'network-user-tftp',
    'a network of QEMU’s own that serves files of its host',
    `-M q35 -netdev user,id=n0,tftp=/srv/tftp,bootfile=pxelinux.0 -device e1000,netdev=n0`,
    refused('GODWIT_DEVICE_UNMOVABLE', 'tftp'),
  ),
  trait(
    'network-socket',
    'a network that ends in another program of its host',
    `-M q35 -netdev socket,id=n0,udp=127.0.0.1:5601,localaddr=127.0.0.1:5602 -device e1000,netdev=n0`,
    refused('GODWIT_DEVICE_UNMOVABLE', 'network backend socket'),
  ),
  trait(
    'network-stream',
    'a network on a unix socket, as passt makes one',
    `-M q35 -netdev stream,id=n0,server=on,addr.type=unix,addr.path=/run/guests/passt.sock -device e1000,netdev=n0`,
    refused('GODWIT_DEVICE_UNMOVABLE', 'network backend stream'),
  ),
  trait(
    'monitor-second',
    'two QMP sockets',
    `-M q35 -qmp unix:/run/guests/second.qmp,server=on,wait=off`,
    MOVED,
  ),
  trait(
    'tpm-tis',
    'a TPM by hand, on the older machine',
    `-M pc -chardev socket,id=c,path=/run/tpm.sock -tpmdev emulator,id=t,chardev=c -device tpm-tis,tpmdev=t`,
    MOVED,
    { host: { tpms: { '/run/tpm.sock': 'plain' } } },
  ),
  trait(
    'tpm-1-2',
    'a TPM 1.2',
    `-M q35 -chardev socket,id=c,path=/run/tpm.sock -tpmdev emulator,id=t,chardev=c -device tpm-tis,tpmdev=t`,
    MOVED,
    { host: { tpms: { '/run/tpm.sock': '1.2' } } },
  ),
  trait(
    'tpm-encrypted',
    'a TPM whose state is encrypted, and a host without a passphrase for it',
    `-M q35 -chardev socket,id=c,path=/run/tpm.sock -tpmdev emulator,id=t,chardev=c -device tpm-crb,tpmdev=t`,
    refused('GODWIT_HOST_LACKS', 'passphrase'),
    { host: { tpms: { '/run/tpm.sock': 'encrypted' } } },
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
