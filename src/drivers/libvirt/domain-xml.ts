import type { GuestInfo } from '../../protocol/public/hosts/host.ts';
import { defined } from '../../protocol/defined.ts';
import { at, parseXml, textAt, type XmlElement } from '../../formats/xml.ts';
import { securityLabels, type SecurityLabel } from './security-labels.ts';
import { domainPort, type DomainPort } from './ports/ports.ts';
import { unmovableDevices } from './unmovable.ts';

/** Parses a domain's XML, including the parts that cannot move. Pure. */
export interface DomainFacts {
  readonly name: string;
  readonly uuid: string;
  readonly machine: Machine;
  readonly memoryBytes: number;
  readonly vcpus: number;
  readonly accelerator: string;
  readonly firmware: Firmware | undefined;
  readonly tpm: Tpm | undefined;
  readonly nics: GuestInfo['nics'];
  readonly devices: GuestInfo['devices'];
  readonly disks: readonly DomainDisk[];
  readonly networks: readonly NicNetwork[];
  readonly hostLinks: readonly NicHostLink[];
  readonly ports: readonly DomainPort[];
  /** The destination must support their models. */
  readonly securityLabels: readonly SecurityLabel[];
  readonly labels: Readonly<Record<string, string>>;
  /** Elements that a person writes and libvirt never adds, as comparable texts. */
  readonly written: readonly string[];
  readonly unmovable: readonly string[];
}

/** Requirements of a hypervisor, in the terms of libvirt's queries. */
export interface Machine {
  /** `kvm`, or `qemu` for an emulated guest. */
  readonly virtType: string;
  readonly arch: string;
  readonly type: string;
  /** Absent: the daemon's default. */
  readonly emulator: string | undefined;
  /** Element `cpu`, expanded by libvirt when it started the guest; absent: QEMU's default. */
  readonly cpu: XmlElement | undefined;
}

export interface Firmware {
  readonly loader: string;
  readonly isSecure: boolean;
  readonly nvram: string | undefined;
}

export interface Tpm {
  readonly model: string;
  /** `emulator`: swtpm, which libvirt starts again and whose state moves. `passthrough`: the host's TPM. */
  readonly backend: string;
}

export interface DomainDisk {
  /** Guest's name for it, such as `vda`. */
  readonly name: string;
  /** File, block device, or libvirt's name: `rbd:pool/image`. */
  readonly source: string;
  readonly kind: string;
  readonly format: string;
  readonly isWritten: boolean;
  readonly isShareable: boolean;
  /** QEMU never flushes the guest's writes (`cache='unsafe'`). */
  readonly isNeverFlushed?: boolean;
  /** Only for a volume. */
  readonly pool: string | undefined;
  /** Has a backing image, such as a template. */
  readonly isLinked: boolean;
  /** Backing files and devices, nearest first, as far as libvirt names them; absent: none. */
  readonly below?: readonly string[];
}

export interface NicNetwork {
  readonly nic: string;
  readonly network: string;
}

/** NIC attached to a host network device: a bridge, or the lower device of a macvtap. */
export interface NicHostLink {
  readonly nic: string;
  readonly device: string;
  readonly kind: 'bridge' | 'device';
}

export type DomainRead =
  | { readonly facts: DomainFacts; readonly why?: undefined }
  | { readonly facts?: undefined; readonly why: string };

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
const MAX_SHOWN = 64;
const MAX_DEVICES = 4096;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function readDomain(xml: string): DomainRead {
  const root = parseXml(xml);
  if (root === undefined) {
    return { why: 'it is not well formed, too long, or has a document type' };
  }
  if (root.name !== 'domain') return { why: `it is of <${root.name.slice(0, 64)}>, not <domain>` };
  const lacks = whatIsMissing(root);
  return lacks === undefined ? { facts: factsOf(root) } : { why: lacks };
}

/** libvirt writes these elements for every domain. */
function whatIsMissing(root: XmlElement): string | undefined {
  if ((textAt(root, 'name') ?? '') === '') return 'it has no <name>';
  if (!UUID.test(textAt(root, 'uuid') ?? '')) return 'its <uuid> is none';
  if (sizeOf(memoryOf(root)) === 0) return 'its <memory> is no size that Godwit can read';
  if ((typeOf(root)['machine'] ?? '') === '') return 'its <os> names no machine type';
  if (at(root, 'devices').length !== 1) return 'it has not one element <devices>';
  const devices = at(root, 'devices')[0]?.children.length ?? 0;
  return devices > MAX_DEVICES ? `it has ${devices} devices` : undefined;
}

function factsOf(root: XmlElement): DomainFacts {
  const devices = at(root, 'devices')[0]?.children ?? [];
  const named = (name: string): XmlElement[] => devices.filter((each) => each.name === name);
  const nics = named('interface');
  const [vcpu] = at(root, 'vcpu');
  return {
    name: textAt(root, 'name') ?? '',
    uuid: textAt(root, 'uuid') ?? '',
    machine: {
      virtType: root.attributes['type'] ?? '',
      arch: typeOf(root)['arch'] ?? '',
      type: typeOf(root)['machine'] ?? '',
      emulator: textAt(root, 'devices', 'emulator'),
      cpu: at(root, 'cpu')[0],
    },
    memoryBytes: sizeOf(memoryOf(root)),
    vcpus: whole(vcpu?.attributes['current'] ?? vcpu?.text),
    accelerator: root.attributes['type'] === 'kvm' ? 'kvm' : 'tcg',
    firmware: firmwareOf(root),
    tpm: named('tpm').map(tpmOf)[0],
    nics: nics.slice(0, MAX_SHOWN).map(nicOf),
    devices: devices.filter(hasAlias).slice(0, 1024).map(deviceOf),
    disks: named('disk').map(diskOf),
    networks: nics.flatMap(networkOf),
    hostLinks: nics.flatMap(hostLinkOf),
    ports: nics.flatMap((each, index) => domainPort(each, nicName(each, index))),
    securityLabels: securityLabels(root),
    labels: domainLabels(root),
    written: writtenParts(root),
    unmovable: unmovableDevices(root).slice(0, MAX_SHOWN),
  };
}

function memoryOf(root: XmlElement): XmlElement | undefined {
  return at(root, 'currentMemory')[0] ?? at(root, 'memory')[0];
}

function typeOf(root: XmlElement): Readonly<Record<string, string>> {
  return at(root, 'os', 'type')[0]?.attributes ?? {};
}

function sizeOf(element: XmlElement | undefined): number {
  if (element === undefined) return 0;
  const bytes = whole(element.text) * (UNITS[element.attributes['unit'] ?? 'KiB'] ?? 0);
  return Number.isSafeInteger(bytes) ? bytes : 0;
}

function whole(text: string | undefined): number {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

function firmwareOf(root: XmlElement): Firmware | undefined {
  const [loader] = at(root, 'os', 'loader');
  if (loader === undefined || loader.text === '') return undefined;
  const [nvram] = at(root, 'os', 'nvram');
  const file = nvram === undefined ? undefined : at(nvram, 'source')[0]?.attributes['file'];
  const variables = file ?? nvram?.text;
  return {
    loader: loader.text,
    isSecure: loader.attributes['secure'] === 'yes',
    nvram: variables === '' ? undefined : variables,
  };
}

function tpmOf(element: XmlElement): Tpm {
  return {
    model: element.attributes['model'] ?? '',
    backend: at(element, 'backend')[0]?.attributes['type'] ?? '',
  };
}

function nicOf(element: XmlElement, index: number): GuestInfo['nics'][number] {
  const source = at(element, 'source')[0]?.attributes ?? {};
  const bridge = source['bridge'] ?? source['dev'];
  return {
    id: nicName(element, index),
    mac: (at(element, 'mac')[0]?.attributes['address'] ?? '').slice(0, 128),
    ...(bridge === undefined ? {} : { bridge: bridge.slice(0, 128) }),
  };
}

function nicName(element: XmlElement, index: number): string {
  return (aliasOf(element) ?? `net${index}`).slice(0, 128);
}

function networkOf(element: XmlElement, index: number): NicNetwork[] {
  const network = at(element, 'source')[0]?.attributes['network'];
  return network === undefined ? [] : [{ nic: nicName(element, index), network }];
}

/** A NIC of a libvirt network also has the host's bridge or device in a running guest's XML, and is left out here. */
function hostLinkOf(element: XmlElement, index: number): NicHostLink[] {
  const { bridge, dev, network } = at(element, 'source')[0]?.attributes ?? {};
  const { type } = element.attributes;
  if (network !== undefined) return [];
  const nic = nicName(element, index);
  if (type === 'bridge' && bridge !== undefined) return [{ nic, device: bridge, kind: 'bridge' }];
  if (type === 'direct' && dev !== undefined) return [{ nic, device: dev, kind: 'device' }];
  return [];
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
  const { type: format = '', cache } = at(element, 'driver')[0]?.attributes ?? {};
  const plain = source['file'] ?? source['dev'] ?? source['dir'] ?? source['volume'] ?? name ?? '';
  return {
    name: at(element, 'target')[0]?.attributes['dev'] ?? '',
    source: protocol === undefined ? plain : `${protocol}:${plain}`,
    kind: element.attributes['type'] ?? '',
    format,
    isWritten: at(element, 'readonly').length === 0,
    isShareable: at(element, 'shareable').length > 0,
    pool: source['pool'],
    // libvirt ends each chain with an empty element.
    isLinked: at(element, 'backingStore').some(({ children }) => children.length > 0),
    ...defined({ isNeverFlushed: cache === 'unsafe' ? true : undefined }),
    ...belowOf(element),
  };
}

const MAX_BELOW = 64;

function belowOf(element: XmlElement): Pick<DomainDisk, 'below'> {
  const found: string[] = [];
  for (
    let [next] = at(element, 'backingStore');
    next !== undefined && found.length < MAX_BELOW;
    [next] = at(next, 'backingStore')
  ) {
    const source = at(next, 'source')[0]?.attributes ?? {};
    const file = source['file'] ?? source['dev'];
    if (file !== undefined) found.push(file);
  }
  return found.length === 0 ? {} : { below: found };
}

/** Labels from a domain's metadata, such as names that people search for. Pure. */

const MAX_VALUE = 256;

/** Label -> path below `metadata`. An element without text counts by its attribute `name` or `id`. */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  'libvirt/os': ['libosinfo', 'os'],
  'nova/name': ['instance', 'name'],
  'nova/flavor': ['instance', 'flavor'],
  'nova/project': ['instance', 'owner', 'project'],
  'kubevirt/uid': ['kubevirt', 'uid'],
  'ovirt/cluster-version': ['vm', 'clusterVersion'],
};

function domainLabels(root: XmlElement): Record<string, string> {
  const metadata = at(root, 'metadata')[0];
  const title = textAt(root, 'title');
  const found = Object.entries(PLACES).map(([label, place]): [string, string | undefined] => [
    label,
    metadata === undefined ? undefined : valueAt(metadata, place),
  ]);
  return Object.fromEntries(
    [['libvirt/title', title] as const, ...found]
      .flatMap(([label, value]) => (value === undefined ? [] : [[label, plain(value)] as const]))
      .filter(([, value]) => value !== ''),
  );
}

function valueAt(metadata: XmlElement, place: readonly string[]): string | undefined {
  const [element] = at(metadata, ...place);
  if (element === undefined) return undefined;
  const { name, id } = element.attributes;
  return element.text === '' ? (name ?? id) : element.text;
}

function plain(value: string): string {
  return value
    .replaceAll(/\p{Cc}/gu, ' ')
    .trim()
    .slice(0, MAX_VALUE);
}

const OF_DOMAIN = new Set(['title', 'description', 'cputune', 'numatune', 'commandline']);

/**
 * Elements of a definition that a person writes and libvirt never adds, each as one text, sorted. The order of
 * elements and attributes, quotes, comments and whitespace make no difference. Pure.
 */
function writtenParts(root: XmlElement): string[] {
  const own = root.children.filter(({ name }) => OF_DOMAIN.has(name));
  const all = [...own, ...at(root, 'devices', 'hostdev')];
  return all.map((each) => JSON.stringify(canonical(each))).toSorted();
}

function canonical({ name, attributes, children, text }: XmlElement): unknown[] {
  const sorted = Object.entries(attributes).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return [name, sorted, text, children.map(canonical)];
}
