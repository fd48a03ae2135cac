import type { Finding } from './findings.ts';

interface Hint {
  readonly kind: Finding['kind'];
  readonly device?: RegExp;
  readonly type?: RegExp;
  readonly reason?: RegExp;
  readonly hint: string;
}

const HINTS: readonly Hint[] = [
  {
    kind: 'disk',
    reason: /^it is reached through `(vmdk|vdi|vpc|vhdx|qed|qcow|parallels|dmg|bochs|cloop)`/,
    hint: 'Convert it while the guest is shut down (`qemu-img convert -O qcow2 IMAGE NEW`), and start the guest on that.',
  },
  {
    kind: 'disk',
    reason: /^it is reached through/,
    hint: 'Detach the disk, or put its content into a raw or a qcow2 image.',
  },
  {
    kind: 'disk',
    reason: /changes are temporary/,
    hint: 'Start the guest without `-snapshot` and `snapshot=on`.',
  },
  {
    kind: 'disk',
    reason: /how it was opened/,
    hint: 'Give the disk by `-blockdev`, or detach it and plug it in by `blockdev-add`.',
  },
  {
    kind: 'disk',
    reason: /encrypted in another way/,
    hint: 'Convert it to LUKS while the guest is shut down (`qemu-img convert`), and start the guest on that.',
  },
  { kind: 'disk', reason: /iSER/, hint: 'Reach the LUN by iSCSI over TCP (`transport=tcp`).' },
  {
    kind: 'unmovable',
    device: /^-net /,
    hint: 'Say it as `-nic`, or as `-netdev` and `-device`.',
  },
  {
    kind: 'unmovable',
    type: /^(option|machine setting|firmware setting|setting)$/,
    hint: 'Start the guest without it: it cannot be changed while the guest runs.',
  },
  {
    kind: 'unmovable',
    type: /^network backend tap$/,
    reason: /in no bridge/,
    hint: 'Put its tap into a bridge (`ip link set TAP master BRIDGE`).',
  },
  {
    kind: 'unmovable',
    type: /^network backend/,
    hint: 'Unplug its NIC, and plug in one on a tap in a bridge.',
  },
  {
    kind: 'unmovable',
    type: /^chardev/,
    hint: 'Connect it to a unix socket on which QEMU listens (`server=on,wait=off`), to a pty or to a file.',
  },
  {
    kind: 'unmovable',
    type: /^memory-backend-file$/,
    hint: 'Unplug the device that it belongs to: what lasts in its file stays on this host.',
  },
  {
    kind: 'unmovable',
    type: /^memory-backend-/,
    hint: 'Start the guest with `memory-backend-memfd` or `memory-backend-ram`.',
  },
  {
    kind: 'unmovable',
    type: /^(vfio-|usb-host$|usb-redir$|vhost-vdpa-device|vhost-vsock-pci|ivshmem|u2f-|ccid-card-)/,
    hint: 'Move the guest with --unplug and the device’s id, or the label godwit/unplug: it is unplugged for the move, and the guest runs without it there.',
  },
  {
    kind: 'unmovable',
    type: /^nvme/,
    hint: 'Start the guest with that disk on virtio-blk or virtio-scsi.',
  },
  {
    kind: 'unmovable',
    type: /^(virtio-9p|vhost-user-fs)/,
    hint: 'Unplug it once the guest has unmounted it; a file system of the network moves with the guest.',
  },
];

export function hintFor({ kind, device, type, reason, hint }: Finding): string | undefined {
  if (hint !== undefined) return hint;
  return HINTS.find(
    (each) =>
      each.kind === kind &&
      each.device?.test(device) !== false &&
      each.type?.test(type) !== false &&
      each.reason?.test(reason) !== false,
  )?.hint;
}
