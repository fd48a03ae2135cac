import { MOVED, refused, warned, type Shape } from '../shape.ts';
import { trait } from './trait.ts';

/** Machines, processors and what firmware tells the guest. */
export const MACHINE_TRAITS: readonly Shape[] = [
  trait('machine-of-an-older-version', 'a machine type of years ago', '-M pc-i440fx-2.9', MOVED),
  trait(
    'machine-without-hpet',
    'a machine with settings of its own',
    '-M q35,hpet=off,smm=off,vmport=off,sata=off',
    MOVED,
  ),
  trait(
    'cpu-model-with-switches',
    'a model with features more and less',
    '-M q35 -cpu Nehalem,+aes,-x2apic,vendor=AuthenticAMD',
    MOVED,
  ),
  trait(
    'cpu-tsc-frequency',
    'a processor whose clock ticks at a set rate',
    '-M q35 -cpu qemu64,tsc-frequency=2000000000',
    MOVED,
  ),
  trait(
    'cpu-topology',
    'processors in sockets, cores and threads',
    '-M q35 -smp 4,sockets=2,cores=1,threads=2',
    MOVED,
  ),
  trait(
    'cpu-plugged',
    'a processor that was plugged in while it ran',
    '-M q35 -cpu qemu64 -smp 1,sockets=2,maxcpus=2',
    MOVED,
    {
      once: [
        [
          'device_add',
          { driver: 'qemu64-x86_64-cpu', id: 'c1', 'socket-id': 1, 'core-id': 0, 'thread-id': 0 },
        ],
      ],
    },
  ),
  trait(
    'clock-local',
    'a clock of local time that catches up',
    '-M q35 -rtc base=localtime,clock=host,driftfix=slew',
    MOVED,
  ),
  trait(
    'boot-menu',
    'an order of boot, and a menu',
    '-M q35 -boot order=cd,menu=on,splash-time=0',
    MOVED,
  ),
  trait(
    'smbios-strings',
    'what firmware says of its maker, and strings for cloud-init',
    `-M q35 -smbios type=0,vendor=me -smbios 'type=1,manufacturer=A b,serial=ds=nocloud;h=web1' -smbios type=11,value=one,value=two`,
    MOVED,
  ),
  trait(
    'firmware-settings',
    '`-fw_cfg` with a text, as Ignition reads it',
    `-M q35 -fw_cfg 'name=opt/com.coreos/config,string={"a":1}'`,
    MOVED,
  ),
  trait(
    'firmware-setting-file',
    'the same from a file of its host',
    '-M q35 -fw_cfg name=opt/com.coreos/config,file=/srv/vm/ignition.json',
    refused('GODWIT_DEVICE_UNMOVABLE', 'file of this host'),
    {
      host: { texts: { '/srv/vm/ignition.json': '{}' } },
    },
  ),
  trait(
    'watchdog',
    'a watchdog, and what is done when it barks',
    '-M q35 -device i6300esb,id=wd0 -action watchdog=reset',
    MOVED,
  ),
  trait(
    'panic-device',
    'a device by which the guest reports its panic',
    '-M q35 -device pvpanic -action panic=pause',
    MOVED,
  ),
  trait(
    'vmcoreinfo',
    'the device that reports where a dump of its memory begins',
    '-M q35 -device vmcoreinfo',
    MOVED,
  ),
  trait(
    'iommu',
    'an IOMMU in front of its devices',
    '-M q35,kernel-irqchip=split -device intel-iommu,intremap=on,caching-mode=on -device virtio-balloon-pci,iommu_platform=on,disable-legacy=on',
    MOVED,
  ),
  trait(
    'bridge-behind-bridge',
    'buses behind bridges, PCI behind PCI Express',
    `-M q35 -device pcie-root-port,id=rp1,chassis=1 -device pcie-pci-bridge,id=pb1,bus=rp1 -device pci-bridge,id=pb2,bus=pb1,chassis_nr=2,addr=1 -device rtl8139,bus=pb2,addr=2,netdev=n0 -netdev hubport,id=n0,hubid=1`,
    MOVED,
  ),
  trait(
    'memory-of-displays',
    'QXL with SPICE',
    '-M q35 -vga none -device qxl-vga,vgamem_mb=32,ram_size_mb=64 -spice port=5990,addr=127.0.0.1,disable-ticketing=on',
    warned('-spice'),
  ),
  trait(
    'display-virtio-gpu',
    'a display of virtio, with VNC',
    '-M q35 -device virtio-gpu-pci,xres=1280,yres=800 -vnc 127.0.0.1:81',
    warned('-vnc'),
  ),
  trait(
    'nographic',
    '`-nographic`: its console is the terminal of who started it',
    '-M q35 -nographic',
    MOVED,
  ),
  trait(
    'sandbox',
    'a QEMU whose system calls are filtered',
    '-M q35 -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
    MOVED,
  ),
];
