import { MOVED, refused, type Shape } from '../shape.ts';
import { trait } from './trait.ts';

/** How a guest speaks with its host, and what is plugged into it. */
export const DEVICE_TRAITS: readonly Shape[] = [
  trait(
    'serial-four',
    'four serial ports: a socket, a file, a terminal and nothing',
    '-M q35 -serial unix:/run/guests/s.sock,server=on,wait=off -serial file:/var/log/guests/s.log -serial pty -serial none',
    MOVED,
  ),
  trait(
    'serial-logged',
    'a console on a socket that is written down as well',
    '-M q35 -chardev socket,id=c0,path=/run/guests/c.sock,server=on,wait=off,logfile=/var/log/guests/c.log,logappend=on -device isa-serial,chardev=c0',
    MOVED,
  ),
  trait(
    'serial-over-tcp',
    'a serial port that another host connects to',
    '-M q35 -serial tcp:127.0.0.1:4555,server=on,wait=off',
    refused('GODWIT_DEVICE_UNMOVABLE', 'tcp'),
  ),
  trait(
    'virtio-console',
    'a console of virtio, and a channel for an agent',
    '-M q35 -device virtio-serial-pci,id=vs,max_ports=8 -chardev null,id=c0 -device virtconsole,chardev=c0,bus=vs.0 -chardev socket,id=c1,path=/run/guests/qga.sock,server=on,wait=off -device virtserialport,chardev=c1,name=org.qemu.guest_agent.0,bus=vs.0',
    MOVED,
  ),
  trait(
    'channel-plugged',
    'a channel that was plugged in while it ran',
    '-M q35 -device virtio-serial-pci,id=vs',
    MOVED,
    {
      once: [
        ['chardev-add', { id: 'hc', backend: { type: 'null', data: {} } }],
        [
          'device_add',
          { driver: 'virtserialport', id: 'p1', bus: 'vs.0', chardev: 'hc', name: 'org.a.b' },
        ],
      ],
    },
  ),
  trait(
    'debug-console',
    'firmware’s debug console',
    '-M q35 -debugcon file:/var/log/guests/debug.log -global isa-debugcon.iobase=0x402',
    MOVED,
  ),
  trait(
    'usb-hub',
    'a hub with a keyboard, a mouse and a tablet',
    '-M q35 -device qemu-xhci,id=usb -device usb-hub,bus=usb.0,port=1 -device usb-kbd,bus=usb.0,port=1.1 -device usb-mouse,bus=usb.0,port=1.2 -device usb-tablet,bus=usb.0,port=2',
    MOVED,
  ),
  trait('usb-old-controllers', '`-usb -usbdevice tablet`', '-M pc -usb -usbdevice tablet', MOVED),
  trait(
    'usb-redirected',
    'a USB device of whoever looks at its display',
    '-M q35 -device qemu-xhci,id=usb -chardev socket,id=r,path=/run/guests/r.sock,server=on,wait=off -device usb-redir,chardev=r,id=redir0',
    refused('GODWIT_DEVICE_UNMOVABLE', 'redirected'),
  ),
  trait(
    'sound-hda',
    'sound whose other end is nothing',
    '-M q35 -audiodev none,id=a0 -device ich9-intel-hda -device hda-micro,audiodev=a0',
    MOVED,
  ),
  trait(
    'input-virtio',
    'a keyboard and a tablet of virtio',
    '-M q35 -device virtio-keyboard-pci -device virtio-tablet-pci',
    MOVED,
  ),
  trait(
    'random-plugged',
    'a source of random bytes that was plugged in',
    '-M q35 -device pcie-root-port,id=rp1,chassis=1',
    MOVED,
    {
      once: [
        ['object-add', { 'qom-type': 'rng-random', id: 'r1', filename: '/dev/urandom' }],
        [
          'device_add',
          {
            driver: 'virtio-rng-pci',
            id: 'rng1',
            bus: 'rp1',
            rng: 'r1',
            'max-bytes': 1024,
            period: 1000,
          },
        ],
      ],
    },
  ),
  trait(
    'balloon-that-took-some',
    'a balloon that has been asked for memory',
    '-M q35 -device virtio-balloon-pci,id=b0,deflate-on-oom=on,free-page-reporting=on',
    MOVED,
    {
      once: [['balloon', { value: 100_663_296 }]],
    },
  ),
  trait(
    'device-unplugged',
    'a device of its line that is not there any more',
    '-M q35 -device qemu-xhci,id=usb -device usb-tablet,id=gone,bus=usb.0 -device usb-kbd,id=kbd,bus=usb.0',
    MOVED,
    {
      once: [['device_del', { id: 'gone' }]],
    },
  ),
  trait(
    'device-unplugged-before-one-without-id',
    'the same, and QEMU does not say on which port the other one is',
    '-M q35 -device qemu-xhci,id=usb -device usb-tablet,id=gone,bus=usb.0 -device usb-kbd,bus=usb.0',
    refused('GODWIT_DEVICE_UNMOVABLE', 'its port depends on a device that is unplugged'),
    { once: [['device_del', { id: 'gone' }]] },
  ),
  trait(
    'nics-of-many-kinds',
    'e1000e, rtl8139, vmxnet3 and pcnet, each on a port of a hub',
    `-M q35 ${['e1000e', 'rtl8139', 'vmxnet3', 'pcnet'].map((driver, at) => `-netdev hubport,id=n${at},hubid=0 -device ${driver},netdev=n${at},mac=52:54:00:00:00:0${at}`).join(' ')}`,
    MOVED,
  ),
  trait(
    'nic-queues',
    'a NIC with two queues',
    '-M q35 -netdev tap,id=n0,ifname=tapq0,script=no,downscript=no,queues=2 -device virtio-net-pci,netdev=n0,mq=on,vectors=6,mac=52:54:00:00:01:01',
    MOVED,
    {
      host: { multiQueueTaps: { tapq0: 'br0' } },
    },
  ),
  trait(
    'nic-net-net',
    '`-net nic -net tap`, the spelling of old scripts',
    '-M pc -net nic,model=e1000,macaddr=52:54:00:00:02:01 -net tap,ifname=tapold0,script=no,downscript=no',
    refused('GODWIT_DEVICE_UNMOVABLE', 'the old spelling'),
    {
      host: { taps: { tapold0: 'br0' } },
    },
  ),
  trait(
    'nic-without-a-network',
    'a NIC whose tap is in no bridge',
    '-M q35 -netdev tap,id=n0,ifname=taplone0,script=no,downscript=no -device virtio-net-pci,netdev=n0',
    refused('GODWIT_DEVICE_UNMOVABLE', 'in no bridge'),
    {
      host: { taps: { taplone0: '' } },
    },
  ),
  trait(
    'share-9p',
    'a directory of its host by 9p',
    '-M q35 -virtfs local,path=/srv/share,mount_tag=share,security_model=mapped-xattr',
    refused('GODWIT_DEVICE_UNMOVABLE', 'directory of this host'),
    {
      host: { texts: { '/srv/share/a': 'a' } },
    },
  ),
  trait(
    'nic-dumped',
    'a NIC whose packets are written into a file',
    '-M q35 -netdev hubport,id=n0,hubid=0 -device e1000,netdev=n0 -object filter-dump,id=d0,netdev=n0,file=/var/log/guests/n0.pcap',
    refused('GODWIT_DEVICE_UNMOVABLE', 'd0'),
  ),
];
