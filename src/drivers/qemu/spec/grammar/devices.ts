import { FAMILIES } from './families.ts';
import { readTable } from './table.ts';

/**
 * Allowed device types and properties: the lists of QEMU 7.2 and 10.0 (`device-list-properties`) without
 * properties that name a host's file, address or program. `+name` is a family.
 */
const DEVICES = readTable(
  `
AC97 ES1370: +pci audiodev
acpi-erst: +pci memdev record_size
adlib: audiodev freq iobase
amd-iommu: device-iotlb intremap pt xtsup
AMDVI-PCI am53c974 dc390 i6300esb ich9-ahci lsi53c810 lsi53c895a piix3-ide piix4-ide: +pci
ati-vga: +pci guest_hwcursor model vgamem_mb x-device-id x-pixman
bochs-display: +pci +screen vgamem
cirrus-vga: +pci blitter global-vmstate vgamem_mb
cs4231a: audiodev dma iobase irq
e1000 e1000-82544gc e1000-82545em: +pci +nic autonegotiation extra_mac_registers init-vet
  migrate_tso_props mitigation
e1000e: +pci +nic disable_vnet_hdr init-vet migrate-timadj subsys subsys_ven
floppy: +block drive-type unit
gus: audiodev dma freq iobase irq
hda-duplex hda-micro hda-output: audiodev cad debug mixer use-timer
i2c-ddc: address refresh_rate xmax xres ymax yres
i82550 i82551 i82557a i82557b i82557c i82558a i82558b i82559a i82559b i82559c i82559er i82562
  i82801 ne2k_pci pcnet rtl8139 tulip: +pci +nic
i82801b11-bridge: +pci x-pci-express-writeable-slt-bug
ich9-intel-hda intel-hda: +pci debug msi old_msi_addr
ich9-usb-ehci1 ich9-usb-ehci2 usb-ehci: +pci maxframes
ich9-usb-uhci1 ich9-usb-uhci2 ich9-usb-uhci3 ich9-usb-uhci4 ich9-usb-uhci5 ich9-usb-uhci6: +pci
  bandwidth firstport masterbus maxframes
ide-cd: +block bootindex model rerror serial unit ver werror win2k-install-hack wwn
ide-hd: +block bios-chs-trans bootindex cyls heads lcyls lheads lsecs model rerror rotation_rate
  secs serial unit ver werror win2k-install-hack wwn
igb: +pci +nic x-pcie-flr-init
intel-iommu: aw-bits caching-mode device-iotlb dma-drain dma-translation eim fs1gp intremap pt
  snoop-control stale-tm version x-buggy-eim x-flts x-pasid-mode x-scalable-mode
ioh3420: +pci +slot
ipmi-bmc-sim: device_id device_rev fruareasize fwrev1 fwrev2 guid ipmi_version mfg_id product_id
  slave_addr
isa-applesmc: iobase osk
isa-cirrus-vga: blitter vgamem_mb
isa-debug-exit: iobase iosize
isa-debugcon: chardev iobase readback
isa-fdc: bootindexA bootindexB dma fallback fdtypeA fdtypeB iobase irq
isa-ide: iobase iobase2 irq
isa-ipmi-bt isa-ipmi-kcs: bmc ioport irq
isa-parallel: chardev index iobase irq
isa-serial: baudbase chardev index iobase irq wakeup
isa-vga: vgamem_mb
megasas megasas-gen2: +pci hba_serial max_cmds max_sge msi msix sas_address use_jbod
mptsas1068: +pci msi sas_address
ne2k_isa: +nic iobase irq
nec-usb-xhci: +pci conditional-intr-mapping force-pcie-endcap intrs msi msix p2 p3 slots streams
  superspeed-ports-first
nvdimm: addr label-size memdev node size slot unarmed uuid
pc-dimm: addr memdev node size slot
pci-bridge pci-bridge-seat: +pci +reserve chassis_nr msi shpc x-pci-express-writeable-slt-bug
pci-ipmi-bt pci-ipmi-kcs: +pci bmc
pci-ohci: +pci firstport masterbus num-ports
pci-serial: +pci baudbase chardev prog_if wakeup
pci-serial-2x: +pci chardev1 chardev2 prog_if
pci-serial-4x: +pci chardev1 chardev2 chardev3 chardev4 prog_if
pcie-pci-bridge: +pci msi x-pci-express-writeable-slt-bug
pcie-root-port: +pci +slot +reserve x-migrate-msix x-speed x-width
piix3-usb-uhci piix4-usb-uhci: +pci bandwidth maxframes
pvpanic: events ioport
pvpanic-pci: +pci events
pvscsi: +pci use_msg x-disable-pcie x-old-pci-configuration
pxb pxb-pcie: +pci bus_nr bypass_iommu numa_node
qemu-xhci: +pci conditional-intr-mapping msi msix p2 p3 streams
qxl qxl-vga: acpi-index addr cmdlog debug failover_pair_id global-vmstate guestdebug max_outputs
  multifunction ram_size ram_size_mb revision rombar romfile romsize surfaces vgamem_mb
  vram64_size_mb vram_size vram_size_mb x-pcie-extcap-init x-pcie-lnksta-dllla xres yres
ramfb: x-migrate
sb16: audiodev dma dma16 iobase irq version
scsi-cd: +block +scsi-disk quirk_mode_page_apple_vendor quirk_mode_page_truncated
  quirk_mode_sense_rom_use_dbd
scsi-hd: +block +scsi-disk cyls dpofua heads lcyls lheads lsecs max_unmap_size removable
  rotation_rate secs
secondary-vga: +pci +screen qemu-extended-regs vgamem_mb
smbus-ipmi: address bmc
tpm-crb: ppi tpmdev
tpm-tis: irq ppi tpmdev
usb-audio: +usb audiodev buffer debug multi
usb-bot usb-wacom-tablet: +usb
usb-ccid: +usb debug
usb-hub: +usb port-power ports
usb-kbd: +usb display usb_version
usb-mouse: +usb usb_version
usb-net: +usb +nic
usb-serial: +usb always-plugged chardev
usb-storage: +usb +block bootindex commandlog removable rerror werror
usb-tablet: +usb display head usb_version
usb-uas: +usb log-scsi-req
VGA: +pci +screen global-vmstate mmio qemu-extended-regs vgamem_mb
virtconsole virtserialport: chardev name nr
virtio-balloon-device: +virtio +balloon
virtio-balloon-pci virtio-balloon-pci-non-transitional virtio-balloon-pci-transitional: +pci
  +virtio +virtio-pci +balloon ioeventfd
virtio-blk-device: +virtio +block +virtio-blk
virtio-blk-pci virtio-blk-pci-non-transitional virtio-blk-pci-transitional: +pci +virtio
  +virtio-pci +block +virtio-blk class ioeventfd
virtio-gpu-device: +virtio +video
virtio-gpu-pci: +pci +virtio +virtio-pci +video ioeventfd
virtio-iommu-device: +virtio aw-bits boot-bypass granule primary-bus
virtio-iommu-pci: +pci +virtio +virtio-pci aw-bits boot-bypass class granule len-reserved-regions
  primary-bus
vfio-pci: +pci display enable-migration x-balloon-allowed x-device-dirty-page-tracking
  x-migration-multifd-transfer x-pre-copy-dirty-page-tracking
virtio-keyboard-device virtio-multitouch-device: +virtio +virtio-input
virtio-keyboard-pci virtio-multitouch-pci: +pci +virtio +virtio-pci +virtio-input
virtio-mem: +virtio block-size dynamic-memslots memaddr memdev node prealloc requested-size size
  unplugged-inaccessible x-early-migration
virtio-mem-pci: +pci +virtio +virtio-pci block-size dynamic-memslots ioeventfd memaddr memdev node
  prealloc requested-size size unplugged-inaccessible x-early-migration
virtio-mouse-device virtio-tablet-device: +virtio +virtio-input wheel-axis
virtio-mouse-pci virtio-tablet-pci: +pci +virtio +virtio-pci +virtio-input wheel-axis
virtio-net-device: +virtio +nic +virtio-net
virtio-net-pci virtio-net-pci-non-transitional virtio-net-pci-transitional: +pci +virtio
  +virtio-pci +nic +virtio-net ioeventfd
virtio-pmem-pci: +pci +virtio +virtio-pci memaddr memdev
virtio-rng-device: +virtio max-bytes period rng
virtio-rng-pci virtio-rng-pci-non-transitional virtio-rng-pci-transitional: +pci +virtio
  +virtio-pci ioeventfd max-bytes period rng
virtio-scsi-device: +virtio +virtio-scsi
virtio-scsi-pci virtio-scsi-pci-non-transitional virtio-scsi-pci-transitional: +pci +virtio
  +virtio-pci +virtio-scsi ioeventfd
virtio-serial-device: +virtio emergency-write max_ports
virtio-serial-pci virtio-serial-pci-non-transitional virtio-serial-pci-transitional: +pci +virtio
  +virtio-pci class emergency-write ioeventfd max_ports
virtio-sound-device: +virtio audiodev chmaps jacks streams
virtio-sound-pci: +pci +virtio +virtio-pci audiodev chmaps ioeventfd jacks streams
virtio-vga: +pci +virtio +virtio-pci +video big-endian-framebuffer ioeventfd
vmbus-bridge: irq
vmcoreinfo:
vmgenid: guid
vmmouse: i8042
vmware-svga: +pci global-vmstate vgamem_mb
vmxnet3: +pci +nic x-disable-pcie x-old-msi-offsets
x3130-upstream: +pci aer_log_max port x-pci-express-writeable-slt-bug
xio3130-downstream: +pci aer_log_max chassis hotplug port power_controller_present slot
  x-do-not-expose-native-hotplug-cap x-native-hotplug x-pci-express-writeable-slt-bug
`,
  FAMILIES,
);

/** Topology of a hot-plugged processor. Its features are switches of any name. */
const CPU_PLACES = readTable(`
cpu: socket-id die-id module-id core-id thread-id node-id apic-id
`);
const CPU_TYPE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}-(x86_64|i386)-cpu$/;

export function propertiesOf(type: string): ReadonlySet<string> | undefined {
  return DEVICES.get(type) ?? (isProcessor(type) ? CPU_PLACES.get('cpu') : undefined);
}

export function isProcessor(type: string): boolean {
  return CPU_TYPE.test(type);
}

export const DEVICE_TYPES: readonly string[] = [...DEVICES.keys()];
