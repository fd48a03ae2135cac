/** Devices of many kinds, and settings whose loss the guest would notice. */
export const MANY_DEVICES = [
  ...'-uuid 6f2d4b86-8d0e-4f55-9ab4-0b0b4a6d6a01 -smp 2,sockets=1,cores=2 -rtc base=utc,driftfix=slew'.split(
    ' ',
  ),
  ...'-smbios type=1,serial=ds=nocloud,,x -boot menu=off -global ICH9-LPC.disable_s3=1'.split(' '),
  ...'-device virtio-balloon-pci -object rng-random,id=r0,filename=/dev/urandom'.split(' '),
  ...'-device virtio-rng-pci,id=rng0,rng=r0,addr=0x1c -device pcie-root-port,id=rp1,slot=1'.split(
    ' ',
  ),
  ...'-device pcie-root-port,id=rp2,slot=2 -object iothread,id=io1'.split(' '),
  ...'-netdev hubport,id=n0,hubid=0 -device virtio-net-pci,netdev=n0,id=nic0,romfile=,bus=rp1'.split(
    ' ',
  ),
  ...'-device virtio-serial-pci,id=vs0 -chardev null,id=c0'.split(' '),
  ...'-device virtserialport,bus=vs0.0,chardev=c0,name=org.qemu.guest_agent.0'.split(' '),
  ...'-fw_cfg name=opt/org.test/a,string=b,,c -device qemu-xhci,id=usb0 -device usb-tablet,bus=usb0.0'.split(
    ' ',
  ),
  ...'-device VGA,vgamem_mb=16'.split(' '),
];
