import { FAMILIES } from './families.ts';
import { readTable } from './table.ts';

/** Parts of the machine itself, and families of devices, that only `-global` speaks of. */
export const CHIPS = readTable(
  `
apic kvm-apic: id vapic version
cfi.pflash01: big-endian device-width id0 id1 id2 id3 max-device-width num-blocks
  old-multiple-chip-handling sector-length secure width
fw_cfg_io: acpi-mr-restore dma_enabled x-file-slots
fw_cfg_mem: acpi-mr-restore data_width dma_enabled x-file-slots
hpet: hpet-intcap hpet-offset-saved msi timers
i440FX: acpi-index addr multifunction rombar romsize x-pcie-extcap-init x-pcie-lnksta-dllla
i440FX-pcihost: bypass-iommu pci-hole-end pci-hole-start pci-hole64-end pci-hole64-size
  pci-hole64-start short_root_bus x-config-reg-migration-enabled x-pci-hole64-fix
i8042: extended-state kbd-irq kbd-throttle mouse-irq
ICH9-LPC: acpi-index acpi-pci-hotplug-with-bridge-support acpi_disable_cmd acpi_enable_cmd addr
  cpu-hotplug-legacy disable_s3 disable_s4 enable_tco gpe0_blk gpe0_blk_len memory-hotplug-support
  multifunction noreboot pm_io_base rombar romsize s4_val sci_int smm-compat x-keep-pci-slot-hpc
  x-pcie-extcap-init x-pcie-lnksta-dllla x-smi-broadcast x-smi-cpu-hotplug x-smi-cpu-hotunplug
  x-smi-negotiated-features
ioapic: version
isa-i8259 kvm-i8259: elcr_addr elcr_mask iobase master
isa-pcspk: iobase migrate
isa-pit: iobase
kvm-ioapic: gsi_base
kvm-pit: iobase lost_tick_policy
kvmclock: x-mach-use-reliable-get-clock
mc146818rtc: base_year iobase irq lost_tick_policy
mch: acpi-index addr extended-tseg-mbytes multifunction rombar romsize smbase-smram
  x-pcie-extcap-init x-pcie-lnksta-dllla
migration: decompress-error-check send-configuration send-section-footer store-global-state
pci-device: +pci
PIIX4_PM: acpi-index acpi-pci-hotplug-with-bridge-support acpi-root-pci-hotplug addr disable_s3
  disable_s4 memory-hotplug-support multifunction rombar romsize s4_val smb_io_base smm-compat
  smm-enabled x-not-migrate-acpi-index x-pcie-extcap-init x-pcie-lnksta-dllla
q35-pcihost: MCFG above-4g-mem-size below-4g-mem-size bypass-iommu mcfg_size pci-hole-end
  pci-hole-start pci-hole64-end pci-hole64-size pci-hole64-start short_root_bus
  x-config-reg-migration-enabled x-pci-hole64-fix
usb-device: +usb
virtio-device: +virtio
virtio-mmio: force-legacy format_transport_address ioeventfd
virtio-pci: +pci +virtio +virtio-pci ioeventfd
vmport: vmware-vmx-type vmware-vmx-version x-cmds-v2 x-read-set-eax x-report-vmx-type
  x-signal-unsupported-cmd
`,
  FAMILIES,
);
