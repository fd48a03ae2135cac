import { godwitError } from '../../errors.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import { CONVERSION_HINT } from '../conversion-hint.ts';
import type { VsphereClient } from './client.ts';
import { HOST_PROPERTIES, wordIn } from './inventory.ts';
import { hostNameOf, unescapedName } from './names.ts';
import type { Vcenter } from './options.ts';
import { refIn, type Ref } from './soap.ts';

export interface GuestDestination {
  readonly guest: string;
  readonly to: string;
}

export interface HostPlace {
  readonly ref: Ref;
  /** vCenter's name. */
  readonly name: string;
  /** Cluster, or its placeholder around a single host. */
  readonly parent: Ref | undefined;
  readonly connection: string;
  readonly inMaintenance: boolean;
  readonly evcMode: string | undefined;
}

/** vCenter's hosts by Godwit's names. All names are read once; later only the wanted host. */
export class HostsByName {
  readonly #client: VsphereClient;
  readonly #given: Vcenter['hosts'];
  readonly #found = new Map<string, Ref>();

  constructor(client: VsphereClient, { hosts }: Pick<Vcenter, 'hosts'>) {
    this.#client = client;
    this.#given = hosts;
  }

  /**
   * Present state of the host. Throws GODWIT_HOST_UNKNOWN with the nearest name, and GODWIT_MANAGER_REFUSES if
   * two have that name.
   */
  async named(wanted: GuestDestination, signal: AbortSignal): Promise<HostPlace> {
    const known = this.#found.get(wanted.to);
    const seen = known === undefined ? undefined : await this.#place(known, signal);
    // The host's name may have changed.
    if (seen !== undefined && hostNameOf(seen.name, this.#given) === wanted.to) return seen;
    const found = await this.#find(wanted, signal);
    const place = await this.#place(found, signal);
    if (place === undefined)
      throw this.#client.unreachable(`it does not show ${wanted.to} any more`);
    this.#found.set(wanted.to, found);
    return place;
  }

  async #find({ guest, to }: GuestDestination, signal: AbortSignal): Promise<Ref> {
    // In a large vCenter only the names are read.
    const all = await this.#client.all('HostSystem', ['name'], signal);
    const named = all.map(({ ref, properties }) => {
      const own = wordIn(properties, 'name') ?? '';
      return { ref, own, name: hostNameOf(own, this.#given) };
    });
    const [found, other] = named.filter(({ name }) => name === to);
    if (found === undefined) {
      const names = named.flatMap(({ name }) => name ?? []);
      const hint =
        didYouMean(to, names) ??
        `Hosts have the names that \`godwit guests\` shows. ${CONVERSION_HINT}`;
      throw godwitError('GODWIT_HOST_UNKNOWN', { host: to }, { hint });
    }
    if (other === undefined) return found.ref;
    const reason = `${found.own} and ${other.own} would both be called so`;
    const facts = { manager: 'vSphere', guest, host: to, reason };
    const hint = 'Name them apart in `drivers.vsphere.hosts`.';
    throw godwitError('GODWIT_MANAGER_REFUSES', facts, { hint });
  }

  async #place(ref: Ref, signal: AbortSignal): Promise<HostPlace | undefined> {
    const [seen] = await this.#client.retrieve([{ ref, properties: HOST_PROPERTIES }], signal);
    if (seen === undefined) return undefined;
    const { properties } = seen;
    return {
      ref,
      name: wordIn(properties, 'name') ?? '',
      parent: refIn(properties.get('parent')),
      connection: wordIn(properties, 'runtime.connectionState') ?? 'unknown',
      inMaintenance: wordIn(properties, 'runtime.inMaintenanceMode') === 'true',
      evcMode: wordIn(properties, 'summary.currentEVCModeKey'),
    };
  }
}

/** Resource pool for a guest that arrives from another cluster. */
export async function poolOf(
  client: VsphereClient,
  { parent }: Pick<HostPlace, 'parent'>,
  signal: AbortSignal,
): Promise<Ref | undefined> {
  if (parent === undefined) return undefined;
  const [found] = await client.retrieve([{ ref: parent, properties: ['resourcePool'] }], signal);
  return refIn(found?.properties.get('resourcePool'));
}

/** Datastore of that host by name. Throws GODWIT_MANAGER_REFUSES with the nearest name. */
export async function datastoreNamed(
  client: VsphereClient,
  { ref: host }: Pick<HostPlace, 'ref'>,
  { guest, to, datastore }: GuestDestination & { readonly datastore: string },
  signal: AbortSignal,
): Promise<Ref> {
  const named = await datastoresOf(client, host, signal);
  const found = named.find(({ name }) => name === datastore);
  if (found !== undefined) return found.ref;
  const names = named.map(({ name }) => name);
  const hint = didYouMean(datastore, names) ?? `It has ${names.slice(0, 16).join(', ') || 'none'}.`;
  const reason = `that host has no datastore ${datastore}`;
  const facts = { manager: 'vSphere', guest, host: to, reason };
  throw godwitError('GODWIT_MANAGER_REFUSES', facts, { hint });
}

export interface Datastore {
  readonly ref: Ref;
  readonly name: string;
  /** Equal in all vCenters that have it; empty if not reported. */
  readonly url: string;
}

export async function datastoresOf(
  client: VsphereClient,
  of: Ref,
  signal: AbortSignal,
): Promise<Datastore[]> {
  const [seen] = await client.retrieve([{ ref: of, properties: ['datastore'] }], signal);
  const refs = (seen?.properties.get('datastore')?.children ?? []).flatMap(
    (each) => refIn(each) ?? [],
  );
  const wanted = refs.map((ref) => ({ ref, properties: ['name', 'summary.url'] }));
  const stores = await client.retrieve(wanted, signal);
  return stores.map(({ ref, properties }) => ({
    ref,
    name: unescapedName(wordIn(properties, 'name') ?? ''),
    url: wordIn(properties, 'summary.url') ?? '',
  }));
}
