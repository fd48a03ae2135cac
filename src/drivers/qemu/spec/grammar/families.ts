import { readTable } from './table.ts';

/** Properties shared by many device types, by family, from QEMU 7.2 and 10.0 (`device-list-properties`). */
export const FAMILIES = readTable(`
bus: bus
pci: acpi-index addr failover_pair_id multifunction rombar romfile romsize
  x-max-bounce-buffer-size x-pcie-ari-nextfn-1 x-pcie-err-unc-mask x-pcie-ext-tag
  x-pcie-extcap-init x-pcie-lnksta-dllla
virtio: any_layout event_idx in_order indirect_desc iommu_platform notify_on_empty packed
  queue_reset use-disabled-flag use-started x-disable-legacy-check
virtio-pci: aer ats disable-legacy disable-modern migrate-extra modern-pio-notify page-per-vq
  vectors virtio-pci-bus-master-bug-migration x-ats-page-aligned x-disable-pcie
  x-ignore-backend-features x-pcie-deverr-init x-pcie-flr-init x-pcie-lnkctl-init x-pcie-pm-init
  x-pcie-pm-no-soft-reset
usb: attached msos-desc port serial
block: account-failed account-invalid backend_defaults discard_granularity drive
  logical_block_size min_io_size opt_io_size physical_block_size share-rw write-cache
nic: bootindex mac netdev
virtio-net: csum ctrl_guest_offloads ctrl_mac_addr ctrl_rx ctrl_rx_extra ctrl_vlan ctrl_vq duplex
  failover gso guest_announce guest_csum guest_ecn guest_rsc_ext guest_tso4 guest_tso6 guest_ufo
  guest_uso4 guest_uso6 hash host_ecn host_mtu host_tso4 host_tso6 host_ufo host_uso mq mrg_rxbuf
  rsc_interval rss rx_queue_size speed status tx tx_queue_size x-mtu-bypass-backend x-txburst
  x-txtimer
virtio-blk: bootindex config-wce cyls discard heads iothread lcyls lheads lsecs
  max-discard-sectors max-write-zeroes-sectors num-queues queue-size report-discard-granularity
  request-merging rerror scsi secs seg-max-adjust serial werror write-zeroes
  x-enable-wce-if-config-wce
slot: aer_log_max chassis disable-acs hotplug port power_controller_present slot
  x-do-not-expose-native-hotplug-cap x-native-hotplug x-pci-express-writeable-slt-bug
reserve: bus-reserve io-reserve mem-reserve pref32-reserve pref64-reserve
screen: big-endian-framebuffer edid refresh_rate xmax xres ymax yres
scsi-disk: bootindex channel device_id lun max_io_size migrate-emulated-scsi-request port_index
  port_wwn product quirk_mode_page_vendor_specific_apple rerror scsi-id scsi_version serial vendor
  ver werror wwn
virtio-scsi: cmd_per_lun hotplug iothread max_sectors num_queues param_change seg_max_adjust
  virtqueue_size
virtio-input: display head serial
video: blob edid hostmem max_hostmem max_outputs x-scanout-vmstate-version xres yres
balloon: deflate-on-oom free-page-hint free-page-reporting guest-stats-polling-interval iothread
  page-poison qemu-4-0-config-size
`);
