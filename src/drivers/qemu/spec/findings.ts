export interface Finding {
  /**
   * `disk`: it cannot be opened elsewhere. `disk-linked`: it needs a file that is not moved. `disk-cache`,
   * `disk-format`: unsafe with its present options.
   */
  readonly kind: 'unmovable' | 'disk' | 'disk-linked' | 'disk-cache' | 'disk-format' | 'changed';
  readonly device: string;
  /** Device type; for a disk that cannot move, its file. */
  readonly type: string;
  readonly reason: string;
  /** Fix that differs from the usual one of its kind. */
  readonly hint?: string;
}

export function unmovable(device: string, type: string, reason: string): Finding {
  return { kind: 'unmovable', device, type, reason };
}

/** The device moves, but this part of it does not. */
export function changed(device: string, type: string, reason: string): Finding {
  return { kind: 'changed', device, type, reason };
}

const UNMOVABLE_DEVICES: readonly (readonly [RegExp, string])[] = [
  [/^(vfio-(?!pci$)|pci-assign)/, 'it is a device of this host, passed through'],
  [/^usb-host$/, 'it is a USB device of this host, passed through'],
  [/^usb-redir$/, 'its USB device is redirected to this process'],
  [/^ivshmem/, 'it shares memory with other processes of this host'],
  [/^vhost-user-/, 'its back-end process cannot hand its state over'],
  [/^(vhost-scsi|vhost-vdpa)/, 'its back-end is hardware of this host'],
  [/^vhost-vsock/, 'its context id belongs to this host'],
  [/^virtio-9p/, 'it shares a directory of this host'],
  [/^tpm-(?!tis$|crb$)/, 'Godwit does not know how its TPM is attached'],
  [/^(ccid-card-|u2f-)/, 'it speaks for a chip or token of this host'],
  [/^(nvme|nvme-ns|nvme-subsys|edu|usb-mtp|xen-)/, 'QEMU cannot save its state'],
  [/^(loader|guest-loader)$/, 'it reads a file of this host'],
];

export function deviceObstacle(type: string): string | undefined {
  return UNMOVABLE_DEVICES.find(([pattern]) => pattern.test(type))?.[1];
}
