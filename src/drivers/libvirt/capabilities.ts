import { at, parseXml, type XmlElement } from '../../formats/xml.ts';
import type { SocketUser } from '../../port/managed.ts';

/** What a daemon says of the machines that its host can run. Pure. */

export interface HostCapabilities {
  /** By architecture. */
  readonly guests: ReadonlyMap<string, GuestCapabilities>;
  /** Models of confinement. */
  readonly labelModels: readonly string[];
  /** As whom its QEMUs run; undefined where it does not say. */
  readonly user: SocketUser | undefined;
  /** Of its processor, as libvirt calls it; undefined where it does not say. */
  readonly vendor: string | undefined;
}

export interface GuestCapabilities {
  /** Programs of which the lists speak: one of several that a host may have. */
  readonly emulators: readonly string[];
  /** Names of machine types, and what they stand for. */
  readonly machines: readonly string[];
  /** `kvm`, `qemu` */
  readonly virtTypes: readonly string[];
}

/** Undefined for what is no such document. */
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

/** The label of its own model of confinement, by users: `+64055:+64055`. */
function userIn(root: XmlElement): SocketUser | undefined {
  const models = at(root, 'host', 'secmodel');
  const own = models.find((each) => at(each, 'model').some(({ text }) => text === 'dac'));
  const [label] = own === undefined ? [] : at(own, 'baselabel');
  const found = /^\+(\d{1,10}):\+(\d{1,10})$/.exec(label?.text ?? '');
  return found === null ? undefined : { uid: Number(found[1]), gid: Number(found[2]) };
}

/** The newest machine type of the same kind: of `pc-q35-7.2`, that of `pc-q35`. Undefined where there is none. */
export function newestLike(type: string, machines: readonly string[]): string | undefined {
  const kind = kindOf(type);
  const alike = machines.filter((each) => kindOf(each) === kind && each !== kind);
  return alike.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
}

function kindOf(type: string): string {
  // Those of RHEL are called pc-q35-rhel9.4.0.
  return type.replace(/-(?:rhel)?\d[\d.]*$/, '');
}

/** What a daemon says of one machine that its host can run. */
export interface MachineCapabilities {
  /** Firmware that it knows. */
  readonly loaders: readonly string[];
  /** Ways to give a guest a TPM; undefined where it does not say. */
  readonly tpmBackends: readonly string[] | undefined;
  /** The best processor that a guest gets there: a named model, and features; undefined where it does not say. */
  readonly processor: XmlElement | undefined;
}

/** Undefined for what is no such document. */
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
