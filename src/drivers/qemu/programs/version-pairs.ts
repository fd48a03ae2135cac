import { compareVersions, release } from './version.ts';

/** Pairs of QEMU versions with a test or a known defect. A pair that is not listed was not tested. Pure. */

/**
 * Tested pairs: `by` is the test that moves guests between these releases. The guests are emulated, with a
 * machine type of the older release.
 */
export const TRIED: readonly {
  readonly from: string;
  readonly to: string;
  readonly by: string;
}[] = [
  { from: '7.2', to: '7.2', by: 'test/e2e/versions.e2e.ts' },
  { from: '7.2', to: '10.0', by: 'test/e2e/versions.e2e.ts' },
  { from: '10.0', to: '7.2', by: 'test/e2e/versions.e2e.ts' },
  { from: '10.0', to: '10.0', by: 'test/e2e/networks.e2e.ts' },
  { from: '7.2', to: '11.1', by: 'test/e2e/libvirt-versions.e2e.ts' },
  { from: '11.1', to: '7.2', by: 'test/e2e/libvirt-versions.e2e.ts' },
];

interface Defect {
  /** Version with the defect: moves between it and other versions have this risk. */
  readonly only: string;
  readonly devices: RegExp;
  readonly what: string;
  readonly source: string;
}

export const DEFECTS: readonly Defect[] = [
  {
    only: '8.0.0',
    devices: /^(pcie-root-port|x3130-upstream|xio3130-downstream|ioh3420|e1000e)$/,
    what: 'it makes the error register of PCI Express devices otherwise than others do, and the load fails at the switch (Bad config data: i=0x10a)',
    source: '5ed3dabe57dd (hw/pci: Disable PCI_ERR_UNCOR_MASK register for machine type < 8.0)',
  },
  {
    only: '9.0.0',
    devices: /^virtio-(gpu|vga)/,
    what: 'it sends the state of virtio-gpu otherwise than others do, and the load fails at the switch',
    source: '“virtio-gpu: fix v2 migration”, which fixes dfcf74fa68c',
  },
];

export interface Pair {
  readonly from: string;
  readonly to: string;
  readonly machine: string;
  readonly devices: readonly string[];
}

export function knownOf({ from, to, machine, devices }: Pair): { defect?: Defect; by?: string } {
  const versions = [from, to].map(plain);
  const type = /-(\d+\.\d+)$/.exec(machine)?.[1];
  const defect = DEFECTS.find(
    (each) =>
      versions.filter((version) => compareVersions(version, each.only) === 0).length === 1 &&
      // A distribution with its own machine types fixes such defects in its builds but keeps the version number.
      type !== undefined &&
      compareVersions(type, release(each.only)) < 0 &&
      devices.some((device) => each.devices.test(device)),
  );
  if (defect !== undefined) return { defect };
  const [source, destination] = versions.map(release);
  const tried = TRIED.find((each) => each.from === source && each.to === destination);
  return tried === undefined ? {} : { by: tried.by };
}

/** Returns `8.0.0` for `8.0.0 (distribution)`. */
function plain(version: string): string {
  return /^\d+(\.\d+)*/.exec(version)?.[0] ?? version;
}
