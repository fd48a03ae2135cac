import { compareVersions } from '../programs/version.ts';
import { shown, type HostDevice } from './device.ts';

export interface PassthroughFacts {
  readonly id?: string | undefined;
  readonly host?: HostDevice | undefined;
  /** QEMU's `enable-migration`: on, off or auto. */
  readonly enableMigration?: string | undefined;
  readonly version: string;
  /** QEMU's migration blockers, each about one device or all. */
  readonly blockedReasons: readonly string[];
}

export interface Obstacle {
  readonly reason: string;
  readonly hint: string;
}

/** Older versions migrated such devices experimentally, with a protocol that has been replaced. */
const SINCE = '8.1';

/** Linux drivers that save and load device state, by PCI vendor. Plain vfio-pci does not. */
const MIGRATING_DRIVERS: Readonly<Record<string, string>> = {
  '15b3': 'mlx5_vfio_pci (NVIDIA ConnectX)',
  '19e5': 'hisi_acc_vfio_pci (HiSilicon accelerators)',
  '1af4': 'virtio_vfio_pci (virtio)',
  '1dd8': 'pds_vfio_pci (AMD Pensando)',
  '8086': 'qat_vfio_pci (QuickAssist) or xe_vfio_pci (GPUs)',
};

interface Blocker {
  readonly said: RegExp;
  readonly reason: (host: HostDevice) => string;
  readonly fix: (host: HostDevice) => string;
}

const BLOCKERS: readonly Blocker[] = [
  {
    said: /not supported in kernel/,
    reason: ({ what }) => `its driver ${what.driver} cannot save its state`,
    fix: ({ what }) => {
      const other = what.kind === 'pci' ? MIGRATING_DRIVERS[what.vendor] : undefined;
      return other === undefined || other.startsWith(what.driver)
        ? ''
        : `Where it is one that can migrate, bind it to ${other} before the guest starts.`;
    },
  },
  {
    said: /disabled for VFIO/,
    reason: () => 'it was given with enable-migration=off',
    fix: () => 'Start the guest without enable-migration=off.',
  },
  {
    said: /dirty tracking/,
    reason: () => 'neither it nor the IOMMU says which memory of the guest it writes to',
    fix: () => '',
  },
  {
    said: /vIOMMU/,
    reason: () => 'the guest has an IOMMU of its own, with which QEMU does not migrate it',
    fix: () => 'Start the guest without intel-iommu, amd-iommu and virtio-iommu.',
  },
  {
    said: /^Multiple VFIO devices/,
    reason: () =>
      'not all of the devices that are passed through can be kept from one another’s memory',
    fix: () => 'Unplug all but one of them for the move.',
  },
];

export function whyItStays(facts: PassthroughFacts): Obstacle | undefined {
  const { host, version } = facts;
  if (host === undefined) {
    const reason = 'it is a device of this host, passed through';
    return obstacle(facts, reason);
  }
  if (compareVersions(version, SINCE) < 0) {
    const reason = `it is a device of this host, passed through, and QEMU ${version} cannot migrate such devices`;
    return obstacle(facts, reason, `Run the guest on QEMU ${SINCE} or later.`);
  }
  if (/^(off|no|false|n)$/.test(facts.enableMigration ?? '')) {
    return obstacle(facts, 'it was given with enable-migration=off', 'Start the guest without it.');
  }
  const said = facts.blockedReasons.find((each) => isAbout(each, host.name));
  if (said !== undefined) {
    const known = BLOCKERS.find((each) => each.said.test(said));
    if (known !== undefined) return obstacle(facts, known.reason(host), known.fix(host));
    return obstacle(facts, `QEMU says: ${said.slice(0, 300)}`);
  }
  if (host.features !== undefined && !host.features.includes('stop-copy')) {
    return obstacle(facts, `its driver ${host.what.driver} cannot save its state`);
  }
  return undefined;
}

function isAbout(reason: string, name: string): boolean {
  return reason.startsWith(`${name}: `) || reason.startsWith('Multiple VFIO devices');
}

function obstacle({ id, host }: PassthroughFacts, reason: string, fix = ''): Obstacle {
  const which = host === undefined ? '' : ` (${host.name}, ${shown(host.what)})`;
  const unplug =
    id === undefined
      ? 'It has no id, by which it could be unplugged: shut the guest down and start it without the device.'
      : `Move the guest with --unplug ${id}, which asks it to release the device, or with --mode cold --unplug ${id}, which shuts it down: it runs without the device there.`;
  return {
    reason: `${reason}${which}`,
    hint: [fix, unplug].filter((each) => each !== '').join(' '),
  };
}
