import { MOVED, refused, warned, type Shape } from '../shape.ts';

/** As libvirt writes them into its log of a domain. */
const KEY = {
  '/var/lib/libvirt/qemu/domain-1-web1/master-key.aes': '0123456789abcdef0123456789abcdef',
};
const MONITOR = {
  20: { listens: '/var/lib/libvirt/qemu/domain-1-web1/monitor.sock' },
};
/** What an administrator adds for Godwit: `<qemu:commandline>`. */
const OURS = `-qmp unix:/run/guests/web1.sock,server=on,wait=off`;

const ROOT_PORTS = [0, 1, 2, 3, 4, 5, 6, 7]
  .map((at) => {
    const first = at === 0 ? ',"multifunction":true' : '';
    const addr = at === 0 ? '0x2' : `0x2.0x${at}`;
    return `-device '{"driver":"pcie-root-port","port":${16 + at},"chassis":${at + 1},"id":"pci.${at + 1}","bus":"pcie.0"${first},"addr":"${addr}"}'`;
  })
  .join(' \\\n');

const Q35_DISK = '/var/lib/libvirt/images/web1.qcow2';

/** A Debian guest as virt-install makes it on libvirt 9, without a display. */
const Q35 = (machine: string, more: string): string => `/usr/bin/qemu-system-x86_64 \\
-name guest=web1,debug-threads=on \\
-S \\
-object '{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/var/lib/libvirt/qemu/domain-1-web1/master-key.aes"}' \\
-machine ${machine},usb=off,vmport=off,dump-guest-core=off,memory-backend=pc.ram \\
-accel kvm \\
-cpu host,migratable=on \\
-m 256 \\
-object '{"qom-type":"memory-backend-ram","id":"pc.ram","size":268435456}' \\
-overcommit mem-lock=off \\
-smp 2,sockets=2,cores=1,threads=1 \\
-uuid 4dea22b3-1d52-d8f3-2516-782e98ab3fa0 \\
-display none \\
-no-user-config \\
-nodefaults \\
-chardev socket,id=charmonitor,fd=20,server=on,wait=off \\
-mon chardev=charmonitor,id=monitor,mode=control \\
-rtc base=utc,driftfix=slew \\
-global kvm-pit.lost_tick_policy=delay \\
-no-shutdown \\
-global ICH9-LPC.disable_s3=1 \\
-global ICH9-LPC.disable_s4=1 \\
-boot strict=on \\
${ROOT_PORTS} \\
-device '{"driver":"qemu-xhci","p2":15,"p3":15,"id":"usb","bus":"pci.2","addr":"0x0"}' \\
-device '{"driver":"virtio-serial-pci","id":"virtio-serial0","bus":"pci.3","addr":"0x0"}' \\
-blockdev '{"driver":"file","filename":"${Q35_DISK}","node-name":"libvirt-1-storage","auto-read-only":true,"discard":"unmap"}' \\
-blockdev '{"node-name":"libvirt-1-format","read-only":false,"discard":"unmap","driver":"qcow2","file":"libvirt-1-storage","backing":null}' \\
-device '{"driver":"virtio-blk-pci","bus":"pci.4","addr":"0x0","drive":"libvirt-1-format","id":"virtio-disk0","bootindex":1}' \\
-chardev pty,id=charserial0 \\
-device '{"driver":"isa-serial","chardev":"charserial0","id":"serial0","index":0}' \\
-chardev socket,id=charchannel0,path=/run/libvirt/qemu/channel/1-web1/org.qemu.guest_agent.0,server=on,wait=off \\
-device '{"driver":"virtserialport","bus":"virtio-serial0.0","nr":1,"chardev":"charchannel0","id":"channel0","name":"org.qemu.guest_agent.0"}' \\
-device '{"driver":"virtio-balloon-pci","id":"balloon0","bus":"pci.5","addr":"0x0"}' \\
-object '{"qom-type":"rng-random","id":"objrng0","filename":"/dev/urandom"}' \\
-device '{"driver":"virtio-rng-pci","rng":"objrng0","id":"rng0","bus":"pci.6","addr":"0x0"}' \\
-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny \\
-msg timestamp=on \\
${more}`;

const Q35_HOST = {
  images: { [Q35_DISK]: 'qcow2' },
  texts: KEY,
  files: MONITOR,
} as const;

const CODE = '/usr/share/OVMF/OVMF_CODE_4M.fd';
const SECURE_CODE = '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd';
const STORE = '/var/lib/libvirt/qemu/nvram/web1_VARS.fd';

/** Its firmware as libvirt 9 gives it: two block nodes that the machine names. */
const chips = (
  code: string,
): string => `-blockdev '{"driver":"file","filename":"${code}","node-name":"libvirt-pflash0-storage","auto-read-only":true,"discard":"unmap"}' \\
-blockdev '{"node-name":"libvirt-pflash0-format","read-only":true,"driver":"raw","file":"libvirt-pflash0-storage"}' \\
-blockdev '{"driver":"file","filename":"${STORE}","node-name":"libvirt-pflash1-storage","auto-read-only":true,"discard":"unmap"}' \\
-blockdev '{"node-name":"libvirt-pflash1-format","read-only":false,"driver":"raw","file":"libvirt-pflash1-storage"}' \\
${OURS}`;
const ON_CHIPS = 'pflash0=libvirt-pflash0-format,pflash1=libvirt-pflash1-format';

const TPM_SOCKET = '/run/libvirt/qemu/swtpm/1-web1-swtpm.sock';
const TPM = `-chardev socket,id=chrtpm,path=${TPM_SOCKET} \\
-tpmdev emulator,id=tpm-tpm0,chardev=chrtpm \\
-device '{"driver":"tpm-crb","tpmdev":"tpm-tpm0","id":"tpm0"}'`;
/** What virt-install gives Windows: time and interrupts as Hyper-V has them. */
const HYPERV =
  'hv-time=on,hv-relaxed=on,hv-vapic=on,hv-spinlocks=0x1fff,hv-vpindex=on,hv-runtime=on,hv-synic=on,hv-stimer=on,hv-frequencies=on';

/** One of libvirt 8, on the older machine, with its devices as key=value where JSON was not yet the form. */
const I440FX = `/usr/bin/qemu-system-x86_64 \\
-name guest=web1,debug-threads=on -S \\
-object '{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/var/lib/libvirt/qemu/domain-1-web1/master-key.aes"}' \\
-machine pc-i440fx-7.2,usb=off,dump-guest-core=off,memory-backend=pc.ram -accel kvm \\
-cpu Cooperlake,ss=on,hypervisor=on,tsc-adjust=on,hle=off,rtm=off \\
-m 256 -object '{"qom-type":"memory-backend-ram","id":"pc.ram","size":268435456}' -overcommit mem-lock=off \\
-smp 2,sockets=2,cores=1,threads=1 -uuid 712590b2-fbd8-4a2f-a8e9-be33cb9ee0da \\
-display none -no-user-config -nodefaults \\
-chardev socket,id=charmonitor,fd=20,server=on,wait=off -mon chardev=charmonitor,id=monitor,mode=control \\
-rtc base=utc,driftfix=slew -global kvm-pit.lost_tick_policy=delay -no-shutdown \\
-global PIIX4_PM.disable_s3=1 -global PIIX4_PM.disable_s4=1 -boot strict=on \\
-device ich9-usb-ehci1,id=usb,bus=pci.0,addr=0x3.0x7 \\
-device ich9-usb-uhci1,masterbus=usb.0,firstport=0,bus=pci.0,multifunction=on,addr=0x3 \\
-device ich9-usb-uhci2,masterbus=usb.0,firstport=2,bus=pci.0,addr=0x3.0x1 \\
-device ich9-usb-uhci3,masterbus=usb.0,firstport=4,bus=pci.0,addr=0x3.0x2 \\
-blockdev '{"driver":"file","filename":"/var/lib/libvirt/images/old.img","node-name":"libvirt-1-storage","auto-read-only":true,"discard":"unmap"}' \\
-blockdev '{"node-name":"libvirt-1-format","read-only":false,"driver":"raw","file":"libvirt-1-storage"}' \\
-device ide-hd,bus=ide.0,unit=0,drive=libvirt-1-format,id=ide0-0-0,bootindex=1 \\
-netdev tap,fd=21,id=hostnet0,vhost=on,vhostfd=22 \\
-device virtio-net-pci,netdev=hostnet0,id=net0,mac=52:54:00:20:ba:4a,bus=pci.0,addr=0x2 \\
-chardev pty,id=charserial0 -device isa-serial,chardev=charserial0,id=serial0,index=0 \\
-device virtio-balloon-pci,id=balloon0,bus=pci.0,addr=0x4 \\
-msg timestamp=on ${OURS}`;

export const LIBVIRT: readonly Shape[] = [
  {
    name: 'libvirt-9-q35-no-second-monitor',
    by: 'libvirt',
    whole: true,
    what: 'libvirt 9 as it is: its only QMP socket is libvirt’s own',
    line: Q35('pc-q35-7.2', ''),
    aside: ['program', 'accelerator', 'cpu-host'],
    host: Q35_HOST,
    expected: refused('GODWIT_GUEST_MANAGED', 'libvirt'),
  },
  {
    name: 'libvirt-9-q35',
    by: 'libvirt',
    whole: true,
    what: 'libvirt 9: each device in JSON, its disk as block nodes, a monitor that was handed over',
    line: Q35('pc-q35-7.2', OURS),
    aside: ['program', 'accelerator', 'cpu-host'],
    host: Q35_HOST,
    expected: MOVED,
  },
  {
    name: 'libvirt-11-q35-tap',
    by: 'libvirt',
    whole: true,
    what: 'libvirt 11: a NIC on a tap that was handed over as an open file',
    line: Q35(
      'pc-q35-9.2,hpet=off,acpi=on',
      `-netdev '{"type":"tap","fd":"21","vhost":true,"vhostfd":"23","id":"hostnet0"}' \\
-device '{"driver":"virtio-net-pci","netdev":"hostnet0","id":"net0","mac":"52:54:00:aa:bb:01","bus":"pci.1","addr":"0x0"}' \\
${OURS}`,
    ),
    aside: ['program', 'accelerator', 'cpu-host', 'vhost'],
    host: { ...Q35_HOST, files: { ...MONITOR, 21: { tap: 'vnet0' } }, taps: { vnet0: 'virbr0' } },
    since: '9.2',
    expected: MOVED,
  },
  {
    name: 'libvirt-9-q35-uefi',
    by: 'libvirt',
    whole: true,
    what: 'libvirt 9: UEFI firmware, its variables in libvirt’s own directory',
    line: Q35(`pc-q35-7.2,smm=off,${ON_CHIPS}`, chips(CODE)),
    aside: ['program', 'accelerator', 'cpu-host'],
    host: { ...Q35_HOST, firmware: { [CODE]: 'code', [STORE]: 'variables' } },
    expected: MOVED,
  },
  {
    name: 'libvirt-9-q35-secure-boot',
    by: 'libvirt',
    whole: true,
    what: 'libvirt 9: UEFI firmware for secure boot, which alone may write its variables',
    line: Q35(
      `pc-q35-7.2,smm=on,${ON_CHIPS}`,
      `-global driver=cfi.pflash01,property=secure,value=on \\\n${chips(SECURE_CODE)}`,
    ),
    aside: ['program', 'accelerator', 'cpu-host'],
    host: { ...Q35_HOST, firmware: { [SECURE_CODE]: 'secure-code', [STORE]: 'variables' } },
    expected: MOVED,
  },
  {
    name: 'libvirt-11-q35-uefi-qcow2',
    by: 'libvirt',
    whole: true,
    what: 'libvirt 11: UEFI firmware with its variables in a qcow2 image',
    line: Q35(
      `pc-q35-9.2,hpet=off,acpi=on,smm=off,${ON_CHIPS}`,
      chips(CODE).replace(
        '"driver":"raw","file":"libvirt-pflash1',
        '"driver":"qcow2","file":"libvirt-pflash1',
      ),
    ),
    aside: ['program', 'accelerator', 'cpu-host'],
    host: { ...Q35_HOST, firmware: { [CODE]: 'code', [STORE]: 'variables-qcow2' } },
    since: '9.2',
    expected: MOVED,
  },
  {
    name: 'libvirt-9-q35-windows',
    by: 'libvirt',
    whole: true,
    what: 'libvirt 9 as for Windows 11: secure boot, a TPM, Hyper-V’s enlightenments, local time',
    line: Q35(
      `pc-q35-7.2,smm=on,hpet=off,${ON_CHIPS}`,
      `-global driver=cfi.pflash01,property=secure,value=on \\\n${TPM} \\\n${chips(SECURE_CODE)}`,
    )
      .replace('-cpu host,migratable=on', `-cpu host,migratable=on,${HYPERV}`)
      .replace('-rtc base=utc,', '-rtc base=localtime,'),
    aside: ['program', 'accelerator', 'cpu-host', 'hyper-v'],
    host: {
      ...Q35_HOST,
      firmware: { [SECURE_CODE]: 'secure-code', [STORE]: 'variables' },
      tpms: { [TPM_SOCKET]: 'plain' },
    },
    expected: MOVED,
  },
  {
    name: 'libvirt-11-q35-tpm',
    by: 'libvirt',
    whole: true,
    what: 'libvirt 11: UEFI firmware and a TPM',
    line: Q35(`pc-q35-9.2,hpet=off,acpi=on,smm=off,${ON_CHIPS}`, `${TPM} \\\n${chips(CODE)}`),
    aside: ['program', 'accelerator', 'cpu-host'],
    host: {
      ...Q35_HOST,
      firmware: { [CODE]: 'code', [STORE]: 'variables' },
      tpms: { [TPM_SOCKET]: 'plain' },
    },
    since: '9.2',
    expected: MOVED,
  },
  {
    name: 'libvirt-9-q35-usb-and-sound',
    by: 'libvirt',
    whole: true,
    what: 'libvirt 9: a desktop with a tablet, sound, VNC and an empty CD drive',
    line: Q35(
      'pc-q35-7.2',
      `-device '{"driver":"usb-tablet","id":"input0","bus":"usb.0","port":"1"}' \\
-audiodev '{"id":"audio1","driver":"none"}' \\
-device '{"driver":"ich9-intel-hda","id":"sound0","bus":"pcie.0","addr":"0x1b"}' \\
-device '{"driver":"hda-duplex","id":"sound0-codec0","bus":"sound0.0","cad":0,"audiodev":"audio1"}' \\
-device '{"driver":"ide-cd","bus":"ide.0","id":"sata0-0-0"}' \\
-device '{"driver":"virtio-vga","id":"video0","max_outputs":1,"bus":"pcie.0","addr":"0x1"}' \\
-vnc 127.0.0.1:0,audiodev=audio1 \\
${OURS}`,
    ),
    aside: ['program', 'accelerator', 'cpu-host'],
    host: Q35_HOST,
    expected: warned('-vnc'),
  },
  {
    name: 'libvirt-8-i440fx-tap',
    oneVersion: 'emulated, their AVX-512 state differs',
    by: 'libvirt',
    whole: true,
    what: 'libvirt 8: devices as key=value, an IDE disk, a tap that was handed over',
    line: I440FX,
    aside: ['program', 'accelerator', 'vhost'],
    host: {
      images: { '/var/lib/libvirt/images/old.img': 'raw' },
      texts: KEY,
      files: { ...MONITOR, 21: { tap: 'vnet1' } },
      taps: { vnet1: 'virbr0' },
    },
    expected: MOVED,
  },
];
