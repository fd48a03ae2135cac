import { at, parseXml, type XmlElement } from '../../formats/xml.ts';
import type { SocketUser } from '../../port/managed.ts';

/** Parses a daemon's capabilities of its host. Pure. */

export interface HostCapabilities {
  readonly guests: ReadonlyMap<string, GuestCapabilities>;
  readonly labelModels: readonly string[];
  /** User of its QEMUs; undefined if not reported. */
  readonly user: SocketUser | undefined;
  /** Processor vendor in libvirt's spelling; undefined if not reported. */
  readonly vendor: string | undefined;
}

export interface GuestCapabilities {
  /** Programs to which these lists apply; the host may have others. */
  readonly emulators: readonly string[];
  /** Machine types, and the types that they are aliases of. */
  readonly machines: readonly string[];
  readonly virtTypes: readonly string[];
}

export function readCapabilities(xml: string): HostCapabilities | undefined {
  const root = parseXml(xml);
  if (root?.name !== 'capabilities') return undefined;
  const arches = at(root, 'guest', 'arch').map((arch): [string, GuestCapabilities] => {
    const machines = [...at(arch, 'machine'), ...at(arch, 'domain', 'machine')];
    const names = machines.flatMap(({ text, attributes: { canonical } }) =>
      canonical === undefined ? [text] : [text, canonical],
    );
    const virtTypes = at(arch, 'domain').map(({ attributes }) => attributes['type'] ?? '');
    const programs = [...at(arch, 'emulator'), ...at(arch, 'domain', 'emulator')];
    const emulators = programs.map(({ text }) => text);
    return [arch.attributes['name'] ?? '', { emulators, machines: names, virtTypes }];
  });
  const labelModels = at(root, 'host', 'secmodel', 'model').map(({ text }) => text);
  const [vendor] = at(root, 'host', 'cpu', 'vendor').map(({ text }) => text);
  return { guests: new Map(arches), labelModels, user: userIn(root), vendor };
}

/** The DAC model's label names the user: `+64055:+64055`. */
function userIn(root: XmlElement): SocketUser | undefined {
  const models = at(root, 'host', 'secmodel');
  const own = models.find((each) => at(each, 'model').some(({ text }) => text === 'dac'));
  const [label] = own === undefined ? [] : at(own, 'baselabel');
  const found = /^\+(\d{1,10}):\+(\d{1,10})$/.exec(label?.text ?? '');
  return found === null ? undefined : { uid: Number(found[1]), gid: Number(found[2]) };
}

/** Newest machine type of the same kind, such as `pc-q35` of `pc-q35-7.2`. Undefined if there is none. */
export function newestLike(type: string, machines: readonly string[]): string | undefined {
  const kind = kindOf(type);
  const alike = machines.filter((each) => kindOf(each) === kind && each !== kind);
  return alike.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
}

function kindOf(type: string): string {
  // RHEL's types are named pc-q35-rhel9.4.0.
  return type.replace(/-(?:rhel)?\d[\d.]*$/, '');
}

export interface MachineCapabilities {
  readonly loaders: readonly string[];
  /** Undefined if not reported. */
  readonly tpmBackends: readonly string[] | undefined;
  /** Best guest processor, as a named model with features; undefined if not reported. */
  readonly processor: XmlElement | undefined;
}

export function readMachineCapabilities(xml: string): MachineCapabilities | undefined {
  const root = parseXml(xml);
  if (root?.name !== 'domainCapabilities') return undefined;
  const loaders = at(root, 'os', 'loader', 'value').map(({ text }) => text);
  const processor = at(root, 'cpu', 'mode').find(
    ({ attributes: { name, supported } }) => name === 'host-model' && supported === 'yes',
  );
  const [tpm] = at(root, 'devices', 'tpm');
  if (tpm === undefined) return { loaders, tpmBackends: undefined, processor };
  const backends = at(tpm, 'enum').filter(
    ({ attributes }) => attributes['name'] === 'backendModel',
  );
  const values = backends.flatMap((each) => at(each, 'value')).map(({ text }) => text);
  const tpmBackends = tpm.attributes['supported'] === 'yes' ? values : [];
  return { loaders, tpmBackends, processor };
}
