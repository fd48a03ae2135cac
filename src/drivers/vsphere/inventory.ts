import { textAt, type XmlElement } from '../../formats/xml.ts';
import type { GuestRunState } from '../../protocol/public/hosts/host.ts';
import type { ManagedHost } from '../../protocol/public/hosts/managed-host.ts';
import { dpmIn, powerModeOf, type ClusterDpm } from './dpm.ts';
import { drsIn, maintenanceModeOf, type ClusterDrs } from './drs.ts';
import { hostNameOf, unescapedName } from './names.ts';
import { refIn, type Change, type Ref } from './soap.ts';

/** Hosts and guests of a vCenter, built from its reported changes. Pure except for its own lists. */

/** Limit of objects per kind; the rest is left out. */
const MAX = 100_000;
export const MIB = 1024 ** 2;

export const HOST_PROPERTIES = [
  'name',
  'parent',
  'runtime.connectionState',
  'runtime.inMaintenanceMode',
  'summary.currentEVCModeKey',
] as const;
const HOST_SIZE = [
  'summary.config.product.version',
  'summary.hardware.numCpuCores',
  'summary.hardware.memorySize',
] as const;
/** Changes constantly, so it does not count as a change. */
const HOST_USE = ['summary.quickStats.overallMemoryUsage'] as const;
export const LISTED_HOST_PROPERTIES = [...HOST_PROPERTIES, ...HOST_SIZE, ...HOST_USE];
export const GUEST_PROPERTIES = [
  'name',
  'runtime.host',
  'runtime.powerState',
  'runtime.connectionState',
  'summary.config.template',
  'summary.config.uuid',
  'summary.config.instanceUuid',
  'summary.config.memorySizeMB',
  'summary.config.numCpu',
] as const;

/** Includes the automation of DRS and DPM. */
export const CLUSTER_PROPERTIES = ['name', 'configurationEx'] as const;
const CLUSTER = 'ClusterComputeResource';

/** Other properties are dropped, because they would accumulate without a limit. */
const ASKED: ReadonlySet<string> = new Set([...LISTED_HOST_PROPERTIES, ...GUEST_PROPERTIES]);
const UNSTEADY: ReadonlySet<string> = new Set(HOST_USE);

type PropertyTexts = Map<string, string>;

export interface InventoryGuest {
  readonly id: string;
  readonly name: string;
  /** Godwit's name of its host; undefined if it has none or shares it with another host. */
  readonly host: string | undefined;
  readonly state: GuestRunState;
  readonly instance: string;
  readonly uuid: string | undefined;
  readonly memoryBytes: number | undefined;
  readonly vcpus: number | undefined;
  /** Another guest of this vCenter has that name. */
  readonly isNamesake: boolean;
}

interface Cluster {
  readonly name: string;
  readonly drs: ClusterDrs | undefined;
  readonly dpm: ClusterDpm | undefined;
}

export class InventoryLists {
  readonly #given: Readonly<Record<string, string>>;
  readonly #hosts = new Map<string, PropertyTexts>();
  readonly #guests = new Map<string, PropertyTexts>();
  readonly #clusters = new Map<string, Cluster>();
  /** Counts changes, except of constantly changing properties. */
  revision = 0;

  constructor(given: Readonly<Record<string, string>>) {
    this.#given = given;
  }

  apply(changes: readonly Change[]): void {
    for (const change of changes) this.#applyOne(change);
  }

  #applyOne(change: Change): void {
    const { ref, kind, properties } = change;
    if (ref.type === CLUSTER) {
      this.#applyCluster(change);
      return;
    }
    const list = this.#listOf(ref);
    if (list === undefined) return;
    if (kind === 'leave') {
      if (list.delete(ref.value)) this.revision += 1;
      return;
    }
    const before = list.get(ref.value);
    if (before === undefined && list.size >= MAX) return;
    const known: PropertyTexts = before ?? new Map<string, string>();
    let isChanged = before === undefined;
    for (const [name, value] of properties) {
      if (!ASKED.has(name)) continue;
      const word = wordOf(value);
      isChanged ||= known.get(name) !== word && !UNSTEADY.has(name);
      known.set(name, word);
    }
    list.set(ref.value, known);
    if (isChanged) this.revision += 1;
  }

  #applyCluster({ ref: { value }, kind, properties }: Change): void {
    this.revision += 1;
    if (kind === 'leave') {
      this.#clusters.delete(value);
      return;
    }
    const before = this.#clusters.get(value);
    if (before === undefined && this.#clusters.size >= MAX) return;
    const [name, configuration] = [properties.get('name'), properties.get('configurationEx')];
    this.#clusters.set(value, {
      name: unescapedName(name?.text ?? before?.name ?? value).slice(0, 256),
      drs: configuration === undefined ? before?.drs : drsIn(configuration),
      dpm: configuration === undefined ? before?.dpm : dpmIn(configuration),
    });
  }

  #listOf({ type }: Ref): Map<string, PropertyTexts> | undefined {
    if (type === 'HostSystem') return this.#hosts;
    return type === 'VirtualMachine' ? this.#guests : undefined;
  }

  /** Godwit's host names by id, without names that two hosts share. */
  hostNames(): Map<string, string> {
    const names = new Map<string, string>();
    const taken = new Map<string, string>();
    const shared = new Set<string>();
    for (const [id, known] of this.#hosts) {
      const name = hostNameOf(known.get('name') ?? '', this.#given);
      if (name === undefined) continue;
      if (taken.has(name)) shared.add(name);
      taken.set(name, id);
      names.set(id, name);
    }
    for (const [id, name] of names) if (shared.has(name)) names.delete(id);
    return names;
  }

  /** Hosts with a unique name. */
  hosts(realm: string): ManagedHost[] {
    const names = this.hostNames();
    const guests = Map.groupBy(this.#guests, ([, known]) => known.get('runtime.host') ?? '');
    const beside = Map.groupBy(this.#hosts.keys(), (id) => this.#parentOf(id));
    return [...this.#hosts].flatMap(([id, known]) => {
      const name = names.get(id);
      if (name === undefined) return [];
      const parent = this.#parentOf(id);
      const { name: cluster, drs, dpm } = this.#clusters.get(parent) ?? {};
      const running = (guests.get(id) ?? []).flatMap(([guest, each]) => {
        const isOn = each.get('runtime.powerState') === 'poweredOn';
        return isOn ? [{ id: guest, name: unescapedName(each.get('name') ?? '') }] : [];
      });
      const empties = maintenanceModeOf({ name: cluster, drs }, running);
      const powers = powerModeOf({ name: cluster, dpm }, beside.get(parent) ?? []);
      const own = managedHostOf(name, realm, known);
      return [{ ...own, maintenanceMode: empties, powerMode: powers }];
    });
  }

  #parentOf(host: string): string {
    return this.#hosts.get(host)?.get('parent') ?? '';
  }

  guests(): InventoryGuest[] {
    const hosts = this.hostNames();
    const all = [...this.#guests].filter(
      ([, known]) => known.get('summary.config.template') !== 'true',
    );
    const counts = new Map<string, number>();
    for (const [, known] of all) {
      const name = unescapedName(known.get('name') ?? '');
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return all.map(([id, known]) => {
      const name = unescapedName(known.get('name') ?? '');
      const memory = Number(known.get('summary.config.memorySizeMB') ?? 0);
      const vcpus = Number(known.get('summary.config.numCpu') ?? 0);
      return {
        id,
        name,
        host: hosts.get(known.get('runtime.host') ?? ''),
        state: stateOf(known.get('runtime.powerState'), known.get('runtime.connectionState')),
        instance: known.get('summary.config.instanceUuid') ?? '',
        uuid: known.get('summary.config.uuid'),
        memoryBytes: isCount(memory) ? memory * MIB : undefined,
        vcpus: isCount(vcpus) ? vcpus : undefined,
        isNamesake: (counts.get(name) ?? 0) > 1,
      };
    });
  }
}

function managedHostOf(name: string, realm: string, known: PropertyTexts): ManagedHost {
  const connection = known.get('runtime.connectionState') ?? 'unknown';
  const isConnected = connection === 'connected';
  const isClosed = known.get('runtime.inMaintenanceMode') === 'true';
  const version = known.get('summary.config.product.version');
  const cores = Number(known.get('summary.hardware.numCpuCores') ?? 0);
  const memoryBytes = Number(known.get('summary.hardware.memorySize') ?? 0);
  const usedMib = Number(known.get('summary.quickStats.overallMemoryUsage') ?? Number.NaN);
  const isSized = Number.isSafeInteger(memoryBytes) && memoryBytes > 0;
  return {
    name,
    realm,
    state: isConnected ? 'up' : 'silent',
    ...(isConnected ? {} : { reason: `its vCenter says that it is ${connection.slice(0, 64)}` }),
    ...(isClosed ? { closed: 'it is in maintenance mode' } : {}),
    ...(version === undefined ? {} : { version: version.slice(0, 128) }),
    ...(isCount(cores) ? { cores } : {}),
    ...(isSized ? { memoryBytes } : {}),
    ...(isSized && Number.isSafeInteger(usedMib) && usedMib >= 0
      ? { memoryAvailableBytes: Math.max(0, memoryBytes - usedMib * MIB) }
      : {}),
  };
}

export function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0 && value < 2 ** 31;
}

function wordOf(value: XmlElement): string {
  return (refIn(value)?.value ?? value.text).slice(0, 1024);
}

/** The state of a guest on a disconnected host is unknown. */
export function stateOf(power: string | undefined, connection: string | undefined): GuestRunState {
  if (connection !== 'connected') return 'unknown';
  switch (power) {
    case 'poweredOn':
      return 'running';
    case 'poweredOff':
    case 'suspended':
      return 'stopped';
    default:
      return 'unknown';
  }
}

/** Text of a property; undefined if the object lacks it. */
export function wordIn(
  properties: ReadonlyMap<string, XmlElement>,
  name: string,
  ...path: readonly string[]
): string | undefined {
  const value = properties.get(name);
  return value === undefined ? undefined : textAt(value, ...path);
}
