import { textAt, type XmlElement } from '../../../formats/xml.ts';
import type { EvcMode, HostFeatures } from './baseline.ts';
import type { VsphereClient } from '../client.ts';
import { wordIn } from '../inventory.ts';
import { refIn, type Ref, type ObjectContent } from '../soap.ts';

/** Processor features of hosts and EVC modes, as a vCenter reports them. */

const FEATURES = 'config.featureCapability';
const CURRENT = 'summary.currentEVCModeKey';
const MODES = 'capability.supportedEVCMode';
const SERVICE: Ref = { type: 'ServiceInstance', value: 'ServiceInstance' };
/** vSphere's limit for a cluster. */
const MAX_HOSTS = 128;
const MAX_FEATURES = 4096;

export interface ClusterFeatures {
  readonly hosts: readonly HostFeatures[];
  readonly hasEvc: boolean;
}

/** Hosts of a cluster; undefined if the object is not a cluster or shows no hosts. */
export async function clusterFeatures(
  client: VsphereClient,
  cluster: Ref,
  signal: AbortSignal,
): Promise<ClusterFeatures | undefined> {
  if (cluster.type !== 'ClusterComputeResource') return undefined;
  const [seen] = await client.retrieve([{ ref: cluster, properties: ['host'] }], signal);
  const refs = (seen?.properties.get('host')?.children ?? []).flatMap((each) => refIn(each) ?? []);
  const wanted = refs.slice(0, MAX_HOSTS);
  const properties = ['name', CURRENT, FEATURES];
  const hosts = await client.retrieve(
    wanted.map((ref) => ({ ref, properties })),
    signal,
  );
  if (hosts.length === 0) return undefined;
  const hasEvc = hosts.every((each) => (wordIn(each.properties, CURRENT) ?? '') !== '');
  return { hosts: hosts.map(hostFeatures), hasEvc };
}

/** Features of a host's cluster, or of the host alone outside a cluster. */
export async function featuresAround(
  client: VsphereClient,
  { ref: host, parent }: { readonly ref: Ref; readonly parent: Ref | undefined },
  signal: AbortSignal,
): Promise<readonly HostFeatures[]> {
  const cluster = parent === undefined ? undefined : await clusterFeatures(client, parent, signal);
  if (cluster !== undefined) return cluster.hosts;
  const seen = await client.retrieve([{ ref: host, properties: ['name', FEATURES] }], signal);
  return seen.map(hostFeatures);
}

export async function evcModes(client: VsphereClient, signal: AbortSignal): Promise<EvcMode[]> {
  const [seen] = await client.retrieve([{ ref: SERVICE, properties: [MODES] }], signal);
  return (seen?.properties.get(MODES)?.children ?? []).flatMap((each): EvcMode[] => {
    const key = textAt(each, 'key');
    const tier = Number(textAt(each, 'vendorTier'));
    if (key === undefined || !Number.isSafeInteger(tier)) return [];
    const listed = each.children.filter(({ name }) => name === 'featureCapability');
    return [{ key: key.slice(0, 64), tier, features: featuresIn(listed) }];
  });
}

function hostFeatures({ ref, properties }: ObjectContent): HostFeatures {
  const name = (wordIn(properties, 'name') ?? ref.value).slice(0, 256);
  const listed = properties.get(FEATURES)?.children ?? [];
  return { name, features: listed.length === 0 ? undefined : featuresIn(listed) };
}

/** Present features. Numeric ones (family, stepping) do not limit a guest. */
function featuresIn(listed: readonly XmlElement[]): Set<string> {
  const there = listed
    .slice(0, MAX_FEATURES)
    .filter((each) => textAt(each, 'value') === '1')
    .flatMap((each) => textAt(each, 'key')?.slice(0, 128) ?? [])
    .filter((key) => key.startsWith('cpuid.'));
  return new Set(there);
}
