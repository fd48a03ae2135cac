import { readTable } from './table.ts';

/** Kind of each property (`kinds.ts`); a property has the same kind in all devices. */
const PROPERTIES = readTable(`
address: addr
audiodev: audiodev
auto: account-failed account-invalid backend_defaults disable-legacy eim enable-migration intremap
  msi msix unplugged-inaccessible write-cache x-device-dirty-page-tracking
  x-migration-multifd-transfer x-pre-copy-dirty-page-tracking
bus: bus masterbus primary-bus
chardev: chardev chardev1 chardev2 chardev3 chardev4
count: rombar streams
device: bmc display failover_pair_id
drive: drive
duplex: duplex
floppy: drive-type fallback fdtypeA fdtypeB
granule: granule
i32: base_year bootindex bootindexA bootindexB scsi_version speed surfaces x-txburst
i8042: i8042
iothread: iothread
mac: mac
memdev: memdev
netdev: netdev
nothing: romfile
onError: rerror werror
port: port
rng: rng
size: above-4g-mem-size below-4g-mem-size block-size discard_granularity hostmem io-reserve
  logical_block_size max_hostmem mem-reserve min_io_size opt_io_size pci-hole64-size
  physical_block_size pref32-reserve pref64-reserve requested-size size vgamem
  x-max-bounce-buffer-size
speed: x-speed
switch: decompress-error-check send-configuration send-section-footer store-global-state
  acpi-mr-restore acpi-pci-hotplug-with-bridge-support acpi-root-pci-hotplug aer
  always-plugged any_layout ats attached autonegotiation big-endian big-endian-framebuffer blitter
  blob boot-bypass bypass-iommu bypass_iommu caching-mode commandlog conditional-intr-mapping
  config-wce cpu-hotplug-legacy csum ctrl_guest_offloads ctrl_mac_addr ctrl_rx ctrl_rx_extra
  ctrl_vlan ctrl_vq deflate-on-oom device-iotlb disable-acs disable-modern discard dma-drain
  dma-translation dma_enabled dpofua dynamic-memslots edid emergency-write enable_tco event_idx
  extended-state extra_mac_registers failover force-legacy force-pcie-endcap
  format_transport_address free-page-hint free-page-reporting fs1gp global-vmstate gso
  guest_announce guest_csum guest_ecn guest_hwcursor guest_rsc_ext guest_tso4 guest_tso6 guest_ufo
  guest_uso4 guest_uso6 hash host_ecn host_tso4 host_tso6 host_ufo host_uso hotplug
  hpet-offset-saved in_order indirect_desc init-vet ioeventfd iommu_platform kbd-throttle master
  memory-hotplug-support migrate migrate-emulated-scsi-request migrate-extra migrate-timadj
  migrate_tso_props mitigation mixer mmio modern-pio-notify mq mrg_rxbuf msos-desc multi
  multifunction noreboot notify_on_empty old-multiple-chip-handling old_msi_addr packed
  page-per-vq page-poison param_change port-power power_controller_present ppi prealloc pt
  qemu-4-0-config-size qemu-extended-regs queue_reset quirk_mode_page_apple_vendor
  quirk_mode_page_truncated quirk_mode_page_vendor_specific_apple quirk_mode_sense_rom_use_dbd
  removable report-discard-granularity request-merging rss scsi secure seg-max-adjust
  seg_max_adjust share-rw shpc smbase-smram smm-compat smm-enabled snoop-control stale-tm status
  superspeed-ports-first unarmed use-disabled-flag use-started use-timer use_jbod vapic
  virtio-pci-bus-master-bug-migration wakeup wheel-axis win2k-install-hack write-zeroes
  x-ats-page-aligned x-balloon-allowed x-buggy-eim x-cmds-v2 x-config-reg-migration-enabled x-disable-legacy-check
  x-disable-pcie x-do-not-expose-native-hotplug-cap x-early-migration x-enable-wce-if-config-wce
  x-flts x-ignore-backend-features x-keep-pci-slot-hpc x-mach-use-reliable-get-clock x-migrate
  x-migrate-msix x-mtu-bypass-backend x-native-hotplug x-not-migrate-acpi-index x-old-msi-offsets
  x-old-pci-configuration x-pasid-mode x-pci-express-writeable-slt-bug x-pci-hole64-fix
  x-pcie-ari-nextfn-1 x-pcie-deverr-init x-pcie-err-unc-mask x-pcie-ext-tag x-pcie-extcap-init
  x-pcie-flr-init x-pcie-lnkctl-init x-pcie-lnksta-dllla x-pcie-pm-init x-pcie-pm-no-soft-reset
  x-read-set-eax x-report-vmx-type x-scalable-mode x-signal-unsupported-cmd x-smi-broadcast
  x-smi-cpu-hotplug x-smi-cpu-hotunplug xtsup
text: device_id hba_serial model name osk product serial vendor ver
ticks: lost_tick_policy
tpmdev: tpmdev
translation: bios-chs-trans
tx: tx
u16: aer_log_max extended-tseg-mbytes fruareasize host_mtu id0 id1 id2 id3 num-queues numa_node
  port_index product_id queue-size rotation_rate rx_queue_size subsys subsys_ven tx_queue_size
  x-device-id x-file-slots
u32: acpi-index bandwidth baudbase buffer bus-reserve cad channel chmaps class cmd_per_lun cmdlog
  cyls data_width debug dma dma16 elcr_addr firstport freq gpe0_blk gpe0_blk_len gsi_base
  guestdebug head heads hpet-intcap id index intrs iobase iobase2 ioport iosize irq jacks lcyls
  len-reserved-regions lheads log-scsi-req lsecs lun max-discard-sectors max-write-zeroes-sectors
  max_cmds max_outputs max_ports max_sectors max_sge maxframes mfg_id node nr num-blocks num-ports
  num_queues p2 p3 pci-hole-end pci-hole-start period pm_io_base ports ram_size ram_size_mb
  readback record_size refresh_rate revision romsize rsc_interval scsi-id secs short_root_bus slot
  slots smb_io_base unit usb_version vectors version vgamem_mb virtqueue_size vmware-vmx-version
  vram64_size_mb vram_size_mb x-txtimer xmax xres ymax yres
u64: MCFG guest-stats-polling-interval label-size max-bytes max_io_size max_unmap_size mcfg_size
  memaddr pci-hole64-end pci-hole64-start port_wwn sas_address sector-length vram_size wwn
  x-smi-negotiated-features
u8: acpi_disable_cmd acpi_enable_cmd address aw-bits bus_nr chassis chassis_nr device-width
  device_rev disable_s3 disable_s4 disable_vnet_hdr elcr_mask events fwrev1 fwrev2 ipmi_version
  kbd-irq max-device-width mouse-irq prog_if s4_val sci_int slave_addr timers use_msg
  vmware-vmx-type width x-pixman x-scanout-vmstate-version
uuid: guid uuid
width: x-width
`);

const KIND_OF = new Map(
  [...PROPERTIES].flatMap(([kind, names]) => [...names].map((name) => [name, kind] as const)),
);

export function kindOfProperty(name: string): string | undefined {
  return KIND_OF.get(name);
}
