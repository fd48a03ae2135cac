import type { Part, PartKind } from './machine-parts.ts';

/**
 * Allowed differences between a running guest and the new machine, each with its reason. Any other difference
 * stops the migration. Pure.
 */
export interface Reason {
  readonly name: string;
  readonly kind: PartKind;
  readonly type?: RegExp;
  readonly place?: RegExp;
  /** Absent: also a part that exists only on one side. */
  readonly property?: RegExp;
  readonly values?: (source: string | undefined, destination: string | undefined) => boolean;
  /** `allow`: an expected difference. `warn`: it does not affect the guest, but its owner is informed. */
  readonly verdict: 'allow' | 'warn';
  readonly because: string;
}

export interface Difference {
  readonly part: Pick<Part, 'kind' | 'place' | 'type'>;
  readonly property?: string;
  readonly source: string | undefined;
  readonly destination: string | undefined;
}

export const REASONS: readonly Reason[] = [
  {
    name: 'frequency of the time-stamp counter',
    kind: 'processor',
    property: /tsc-frequency/,
    verdict: 'allow',
    because: 'where nobody set it, it is that of each host; the check tsc judges it',
  },
  {
    name: 'clock',
    kind: 'machine',
    property: /rtc-time\..*/,
    verdict: 'allow',
    because: 'it is the time of day',
  },
  {
    name: 'places of images',
    kind: 'machine',
    property: /kernel|initrd|dtb|firmware|pflash\d/,
    verdict: 'allow',
    because: 'each host has its own path for an image, which is found by its content',
  },
  {
    name: 'addresses that the firmware gives',
    kind: 'device',
    property: /MCFG|mcfg_size|busnr|pm_io_base|smb_io_base|pci-hole.*/,
    verdict: 'allow',
    because: 'the guest’s firmware writes it, and it travels with the memory',
  },
  {
    name: 'spelling of a default',
    kind: 'device',
    property: /rombar/,
    values: (source, destination) => isDefaultRom(source) && isDefaultRom(destination),
    verdict: 'allow',
    because: 'a ROM that nobody set is 1 in older versions of QEMU and -1 in newer ones',
  },
  {
    name: 'geometry of a disk',
    kind: 'device',
    type: /(virtio-blk|scsi-hd|ide-hd).*/,
    property: /cyls|heads|secs|bios-chs-trans/,
    verdict: 'allow',
    because:
      'QEMU derives it from the size and the partition table that the disk has when QEMU starts; a geometry that the owner set is an option of the device, and goes along',
  },
  {
    name: 'ROM files',
    kind: 'device',
    property: /romfile/,
    verdict: 'allow',
    because: 'the content of a ROM travels with the memory, and its size is compared there',
  },
  {
    name: 'processor features',
    kind: 'processor',
    property: /feature-words|filtered-features|unavailable-features/,
    verdict: 'allow',
    because: 'what the guest sees of them, its CPUID words, is compared word by word',
  },
  {
    name: 'names of images',
    kind: 'device',
    property: /drive/,
    verdict: 'allow',
    because: 'a block node may get another name; what it is on is compared by itself',
  },
  {
    name: 'cache of writes',
    kind: 'device',
    property: /write-cache/,
    values: (source, destination) => source !== 'off' && destination === 'off',
    verdict: 'allow',
    because:
      'the guest chooses while it runs; what it chose is said there, and compared at the disk',
  },
  {
    name: 'answer to errors of a disk',
    kind: 'device',
    property: /werror|rerror/,
    values: (source, destination) => source === 'auto' && destination !== 'auto',
    verdict: 'allow',
    because:
      'QEMU reports `auto` of a device whose `-drive` sets it; the destination sets the same on the device',
  },
  {
    name: 'limits of disks',
    kind: 'disk',
    property: /throttled|limits\..*/,
    verdict: 'warn',
    because: 'how fast a disk may be is not seen by the guest, but for its speed',
  },
  {
    name: 'routes to a file',
    kind: 'disk',
    place: /^.*\/(image|file|backing|data-file)/,
    property: /type/,
    values: (source, destination) => isFilePath(source) && isFilePath(destination),
    verdict: 'allow',
    because:
      'a host may reach the same file by its own mount, or by QEMU’s NFS client, and a disk may go from a device into a file',
  },
  {
    name: 'devices of a host',
    kind: 'device',
    type: /vfio-pci/,
    property: /host|sysfsdev/,
    verdict: 'allow',
    because: 'each host has its own place for a device that is passed through',
  },
  {
    name: 'counters',
    kind: 'device',
    property: /guest-stats\..*|date\..*/,
    verdict: 'allow',
    because: 'the guest or its clock counts it',
  },
  {
    name: 'keys of Godwit',
    kind: 'object',
    place: /godwit-.*/,
    verdict: 'allow',
    because: 'Godwit makes it for the migration and removes it after it',
  },
  {
    name: 'monitors',
    kind: 'chardev',
    place: /compat_monitor\d+|godwit-.*/,
    verdict: 'allow',
    because: 'Godwit’s own monitor is one of those that the guest is left with',
  },
  {
    name: 'ends of character devices',
    kind: 'chardev',
    verdict: 'warn',
    because: 'who listens to a character device is the host’s, and the guest does not see it',
  },
  {
    name: 'memory’s place on its host',
    kind: 'object',
    type: /memory-backend-.*/,
    property: /policy|host-nodes.*|prealloc.*|merge|dump|reserve|share|x-use-canonical.*/,
    verdict: 'warn',
    because: 'how the host keeps the memory is not seen by the guest, but for its speed',
  },
  {
    name: 'ports of USB devices',
    kind: 'device',
    property: /port/,
    values: (source, destination) => source === '' && /^[\d.]+$/.test(destination ?? ''),
    verdict: 'allow',
    because:
      'a device that was given no port has the one that QEMU chose, and is given that one there',
  },
  {
    name: 'memory that is no file there',
    kind: 'object',
    type: /memory-backend-file/,
    property: /type/,
    values: (_source, destination) => /^memory-backend-(ram|memfd)$/.test(destination ?? ''),
    verdict: 'allow',
    because: 'a file of one host is memory without a name on another; its content is what is sent',
  },
  {
    name: 'settings of a file of memory',
    kind: 'object',
    type: /memory-backend-file/,
    property: /mem-path|align|offset|discard-data|pmem|readonly|rom|hugetlb|hugetlbsize|seal/,
    verdict: 'allow',
    because: 'they are of the file, or of the memory that takes its place',
  },
  {
    name: 'limits of drives',
    kind: 'object',
    type: /throttle-group/,
    values: (source) => source === undefined,
    verdict: 'allow',
    because: 'the limits that a drive had are an object there, and are compared at the disk',
  },
  {
    name: 'threads',
    kind: 'object',
    type: /iothread/,
    property: /.+/,
    verdict: 'warn',
    because: 'how a thread of the host waits is not seen by the guest, but for its speed',
  },
];

function isFilePath(value: string | undefined): boolean {
  return ['file', 'nfs', 'iscsi', 'rbd', 'host_device'].includes(value ?? '');
}

function isDefaultRom(value: string | undefined): boolean {
  return value === '1' || value === '-1';
}

export function reasonFor({ part, property, source, destination }: Difference): Reason | undefined {
  return REASONS.find((reason) => {
    if (reason.kind !== part.kind) return false;
    if (reason.type !== undefined && !whole(reason.type, part.type)) return false;
    if (reason.place !== undefined && !whole(reason.place, part.place)) return false;
    if (reason.property !== undefined && !whole(reason.property, property ?? '')) return false;
    return reason.values?.(source, destination) ?? true;
  });
}

function whole(pattern: RegExp, text: string): boolean {
  return new RegExp(`^(?:${pattern.source})$`).test(text);
}
