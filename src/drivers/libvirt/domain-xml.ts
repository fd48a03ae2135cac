import type { GuestInfo } from '../../protocol/public/host.ts';
import { at, parseXml } from '../../xml.ts';
import type { XmlElement } from '../../xml.ts';

/** What a domain's XML says of the guest, as Godwit shows it, and what of it no migration takes along. Pure. */
export interface DomainFacts {
  readonly memoryBytes: number;
  readonly vcpus: number;
  readonly machineType: string;
  readonly accelerator: string;
  readonly nics: GuestInfo['nics'];
  readonly devices: GuestInfo['devices'];
  readonly disks: readonly DomainDisk[];
  /** What stops it from moving, in words. */
  readonly unmovable: readonly string[];
}

export interface DomainDisk {
  /** As the guest has it: `vda`. */
  readonly name: string;
  /** A file, a block device, or what libvirt calls it: `rbd:pool/image`. */
  readonly source: string;
  readonly kind: string;
  readonly format: string;
  readonly isWritten: boolean;
  readonly isShareable: boolean;
}

const UNITS: Readonly<Record<string, number>> = {
  b: 1,
  bytes: 1,
  KB: 1e3,
  k: 1024,
  KiB: 1024,
  MB: 1e6,
  M: 1024 ** 2,
  MiB: 1024 ** 2,
  GB: 1e9,
  G: 1024 ** 3,
  GiB: 1024 ** 3,
  TB: 1e12,
  T: 1024 ** 4,
  TiB: 1024 ** 4,
};
const MOST = 64;
/** Passed through from the host, and bound to it. */
const OF_THE_HOST = ['hostdev', 'shmem'];

/** Undefined for what is no domain. */
export function domainFacts(xml: string): DomainFacts | undefined {
  const root = parseXml(xml);
  if (root?.name !== 'domain') return undefined;
  const devices = at(root, 'devices')[0]?.children ?? [];
  const named = (name: string): XmlElement[] => devices.filter((each) => each.name === name);
  return {
    memoryBytes: sizeOf(at(root, 'currentMemory')[0] ?? at(root, 'memory')[0]),
    vcpus: whole(at(root, 'vcpu')[0]?.attributes['current'] ?? at(root, 'vcpu')[0]?.text),
    machineType: at(root, 'os', 'type')[0]?.attributes['machine'] ?? '',
    accelerator: root.attributes['type'] === 'kvm' ? 'kvm' : 'tcg',
    nics: named('interface').slice(0, MOST).map(nicOf),
    devices: devices.filter(hasAlias).slice(0, 1024).map(deviceOf),
    disks: named('disk').map(diskOf),
    unmovable: devices
      .filter(({ name }) => OF_THE_HOST.includes(name))
      .map(whyNot)
      .slice(0, MOST),
  };
}

function sizeOf(element: XmlElement | undefined): number {
  if (element === undefined) return 0;
  const bytes = whole(element.text) * (UNITS[element.attributes['unit'] ?? 'KiB'] ?? 0);
  return Number.isSafeInteger(bytes) ? bytes : 0;
}

function whole(text: string | undefined): number {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

function nicOf(element: XmlElement, index: number): GuestInfo['nics'][number] {
  const bridge = at(element, 'source')[0]?.attributes['bridge'];
  return {
    id: (aliasOf(element) ?? `net${index}`).slice(0, 128),
    mac: (at(element, 'mac')[0]?.attributes['address'] ?? '').slice(0, 128),
    ...(bridge === undefined ? {} : { bridge: bridge.slice(0, 128) }),
  };
}

function hasAlias(element: XmlElement): boolean {
  return aliasOf(element) !== undefined;
}

function aliasOf(element: XmlElement): string | undefined {
  return at(element, 'alias')[0]?.attributes['name'];
}

function deviceOf(element: XmlElement): GuestInfo['devices'][number] {
  const model = element.attributes['model'] ?? at(element, 'model')[0]?.attributes['type'];
  const type = model === undefined ? element.name : `${element.name} ${model}`;
  return { id: (aliasOf(element) ?? '').slice(0, 128), type: type.slice(0, 128) };
}

function diskOf(element: XmlElement): DomainDisk {
  const source = at(element, 'source')[0]?.attributes ?? {};
  const { protocol, name } = source;
  const plain = source['file'] ?? source['dev'] ?? source['dir'] ?? source['volume'] ?? name ?? '';
  return {
    name: at(element, 'target')[0]?.attributes['dev'] ?? '',
    source: protocol === undefined ? plain : `${protocol}:${plain}`,
    kind: element.attributes['type'] ?? '',
    format: at(element, 'driver')[0]?.attributes['type'] ?? '',
    isWritten: at(element, 'readonly').length === 0,
    isShareable: at(element, 'shareable').length > 0,
  };
}

function whyNot({ name, attributes }: XmlElement): string {
  if (name === 'shmem') return 'memory that it shares with others of its host (shmem)';
  return `a device of its host (hostdev ${attributes['type'] ?? ''}): unplug it first`;
}
