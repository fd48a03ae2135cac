import { at, textAt, type XmlElement } from '../../formats/xml.ts';

const MAX_CHARACTERS = 512;

/**
 * Devices that keep a domain on its host, as text: devices that libvirt refuses to move, and needed devices that
 * it would leave behind. Pure.
 */
export function unmovableDevices(root: XmlElement): string[] {
  const devices = at(root, 'devices')[0]?.children ?? [];
  const all = [...devices.flatMap(whyNot), ...clockOfTheHost(root)];
  return all.map((each) => each.slice(0, MAX_CHARACTERS));
}

function whyNot(element: XmlElement): string[] {
  const { name, attributes } = element;
  switch (name) {
    case 'hostdev':
      return isTakenOut(element) ? [] : [ofTheHost(`hostdev ${kindOf(element)}`)];
    case 'interface':
      return nicOfTheHost(element);
    case 'shmem':
      return ['memory that it shares with others of its host (shmem)'];
    case 'filesystem':
      // QEMU itself refuses 9p while the guest has it mounted.
      return at(element, 'driver')[0]?.attributes['type'] === 'virtiofs'
        ? ['a directory of its host (filesystem virtiofs): unplug it first']
        : [];
    case 'tpm':
      return at(element, 'backend')[0]?.attributes['type'] === 'passthrough'
        ? ['the TPM of its host (tpm passthrough)']
        : [];
    case 'disk':
      return diskAlone(element);
    case 'memory':
      return attributes['model'] === 'nvdimm' && textAt(element, 'source', 'path') !== undefined
        ? ['persistent memory of its host (memory nvdimm)']
        : [];
    default:
      return [];
  }
}

function kindOf({ attributes }: XmlElement): string {
  return (attributes['type'] ?? attributes['mode'] ?? '').slice(0, 64);
}

function ofTheHost(what: string): string {
  return `a device of its host (${what}): unplug it first`;
}

/** QEMU unplugs it before the move and its partner takes over (failover). */
function isTakenOut(element: XmlElement): boolean {
  return at(element, 'teaming')[0]?.attributes['type'] === 'transient';
}

function nicOfTheHost(element: XmlElement): string[] {
  const type = element.attributes['type'] ?? '';
  if (type === 'hostdev' && !isTakenOut(element)) return [ofTheHost('interface hostdev')];
  return type === 'vdpa' ? [ofTheHost('interface vdpa')] : [];
}

function diskAlone(element: XmlElement): string[] {
  const disk = at(element, 'target')[0]?.attributes['dev'] ?? 'a disk';
  if (element.attributes['type'] === 'nvme') return [ofTheHost(`disk ${disk}, nvme`)];
  if (at(element, 'transient').length > 0) {
    return [`disk ${disk}, whose changes are thrown away (transient)`];
  }
  return [];
}

/** QEMU moves a guest with an invariant TSC only if its frequency is fixed: another host may have another rate. */
function clockOfTheHost(root: XmlElement): string[] {
  const invariant = at(root, 'cpu', 'feature').some(
    ({ attributes }) => attributes['name'] === 'invtsc' && attributes['policy'] !== 'disable',
  );
  const isFixed = at(root, 'clock', 'timer').some(
    ({ attributes }) => attributes['name'] === 'tsc' && attributes['frequency'] !== undefined,
  );
  return invariant && !isFixed ? ['invtsc without a TSC frequency (<timer name="tsc">)'] : [];
}
