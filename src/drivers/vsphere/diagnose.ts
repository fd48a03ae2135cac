import { toGodwitError, type ErrorCode } from '../../errors.ts';
import type { ManagerFinding } from '../../port/managed.ts';
import { at, textAt, type XmlElement } from '../../formats/xml.ts';
import { baselineOf } from './judge/baseline.ts';
import { VsphereClient } from './client.ts';
import { dpmIn, powerModeOf } from './dpm.ts';
import { drsIn, maintenanceModeOf } from './drs.ts';
import { clusterFeatures, evcModes } from './judge/features.ts';
import { ATTRIBUTE } from './mark.ts';
import { otherSection, type VsphereOptions } from './options.ts';
import { judgeAttribute, judgeCertificate, judgeClock, judgeRights } from './judge/judge.ts';
import {
  judgeBalancer,
  judgeEvc,
  judgeGuests,
  judgeHosts,
  judgeVmotion,
  type ClusterBaseline,
  type ClusterFact,
} from './judge/judge-inventory.ts';
import { GUEST_PROPERTIES, HOST_PROPERTIES, InventoryLists, wordIn } from './inventory.ts';
import { RIGHTS, type ObjectPrivileges } from './rights.ts';
import { ref, text, type Ref, type ObjectContent } from './soap.ts';
import { isAboutCertificate } from './transport.ts';
import { failed, tried } from '../../port/findings.ts';

const MAX_DATACENTERS = 64;
/** Includes the settings of DRS and DPM. */
const CLUSTER = 'configurationEx';
const VMOTION = 'config.virtualNicManagerInfo.netConfig';

/**
 * Checks whether this driver can work with that vCenter: logs in, reads and logs out. It creates only views,
 * which end with its session.
 */
export async function diagnose(
  options: VsphereOptions,
  signal: AbortSignal,
): Promise<ManagerFinding[]> {
  const address = new URL(options.url).host;
  let client: VsphereClient;
  try {
    client = await VsphereClient.open(options, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    return [failed(nameOf(thrown), thrown)];
  }
  try {
    const { product, version } = client.about;
    return [
      { name: 'address', verdict: 'ok', found: `${address} answers` },
      judgeCertificate(options, client.certificate, Date.now()),
      { name: 'version', verdict: 'ok', found: `${product}, API ${version}` },
      { name: 'login', verdict: 'ok', found: `as ${options.user}` },
      ...(await tried('clock', signal, () => clock(client, signal))),
      ...(await tried('rights', signal, () => rights(client, options, signal))),
      ...(await tried('inventory', signal, () => inventory(client, options, signal))),
      ...(await others(options, signal)),
    ];
  } finally {
    await client.close();
  }
}

async function others(
  { others: all }: Pick<VsphereOptions, 'others'>,
  signal: AbortSignal,
): Promise<ManagerFinding[]> {
  const found = Object.entries(all).map(async ([name, options]): Promise<ManagerFinding[]> => {
    try {
      const section = otherSection(name);
      const client = await VsphereClient.open({ ...options, section }, signal);
      await client.close();
      const { product, version } = client.about;
      const said = `${name}: ${product}, API ${version}, as ${options.user}`;
      const {
        verdict,
        hint,
        found: shown,
      } = judgeCertificate(options, client.certificate, Date.now());
      return [{ name: 'other', verdict, found: `${said}; certificate ${shown}`, hint }];
    } catch (thrown) {
      signal.throwIfAborted();
      const failure = failed('other', thrown);
      return [{ ...failure, found: `${name}: ${failure.found}` }];
    }
  });
  return (await Promise.all(found)).flat();
}

const OPENING: Partial<Record<ErrorCode, string>> = {
  GODWIT_MANAGER_VERSION: 'version',
  GODWIT_MANAGER_DENIED: 'login',
  GODWIT_CONFIG: 'configuration',
};

function nameOf(thrown: unknown): string {
  if (thrown instanceof Error && isAboutCertificate(thrown.cause)) return 'certificate';
  return OPENING[toGodwitError(thrown).code] ?? 'address';
}

async function clock(client: VsphereClient, signal: AbortSignal): Promise<ManagerFinding[]> {
  const self = { type: 'ServiceInstance', value: 'ServiceInstance' };
  const beganMs = Date.now();
  const [said] = await client.call('CurrentTime', self, [], signal);
  const theirsMs = Date.parse(said?.text ?? '');
  return [judgeClock(theirsMs, (beganMs + Date.now()) / 2)];
}

async function rights(
  client: VsphereClient,
  options: VsphereOptions,
  signal: AbortSignal,
): Promise<ManagerFinding[]> {
  const { rootFolder, customFieldsManager } = client.content;
  const datacenters = (await client.all('Datacenter', ['name'], signal)).slice(0, MAX_DATACENTERS);
  const places = datacenters.map(({ ref: place, properties }) => ({
    place,
    name: `datacenter ${wordIn(properties, 'name') ?? place.value}`,
  }));
  const all = [{ place: rootFolder, name: 'the root folder' }, ...places];
  const granted = await grantedOn(client, all, signal);
  const wanted = { ref: customFieldsManager, properties: ['field'] };
  const [seen] = await client.retrieve([wanted], signal);
  const fields = seen?.properties.get('field')?.children ?? [];
  const hasAttribute = fields.some((field) => textAt(field, 'name') === ATTRIBUTE);
  return [...judgeRights(granted, options.user, hasAttribute), judgeAttribute(hasAttribute)];
}

async function grantedOn(
  client: VsphereClient,
  places: readonly { readonly place: Ref; readonly name: string }[],
  signal: AbortSignal,
): Promise<ObjectPrivileges[]> {
  const parts = [
    ...places.map(({ place }) => ref('entity', place)),
    text('sessionId', client.session),
    ...RIGHTS.map(({ id }) => text('privId', id)),
  ];
  const manager = client.content.authorizationManager;
  const answer = await client.call('HasPrivilegeOnEntities', manager, parts, signal);
  return answer.flatMap((each): ObjectPrivileges[] => {
    const found = textAt(each, 'entity');
    const known = places.find(({ place }) => place.value === found);
    if (known === undefined) return [];
    const ids = at(each, 'privAvailability')
      .filter((right) => textAt(right, 'isGranted') === 'true')
      .flatMap((right) => textAt(right, 'privId') ?? []);
    const isRoot = known.place === places[0]?.place;
    return [{ name: known.name, isRoot, ids: new Set(ids) }];
  });
}

async function inventory(
  client: VsphereClient,
  options: VsphereOptions,
  signal: AbortSignal,
): Promise<ManagerFinding[]> {
  const hosts = await client.all('HostSystem', [...HOST_PROPERTIES, VMOTION], signal);
  const guests = await client.all('VirtualMachine', GUEST_PROPERTIES, signal);
  const lists = new InventoryLists(options.hosts);
  lists.apply([...hosts, ...guests].map((each) => ({ ...each, kind: 'enter' as const })));
  const names = lists.hostNames();
  const facts = hosts.map(({ ref: { value }, properties }) => {
    const selected = (properties.get(VMOTION)?.children ?? [])
      .filter((each) => textAt(each, 'nicType') === 'vmotion')
      .flatMap((each) => at(each, 'selectedVnic'));
    return {
      name: wordIn(properties, 'name') ?? value,
      isNamed: names.has(value),
      connection: wordIn(properties, 'runtime.connectionState') ?? 'unknown',
      hasVmotion: selected.length > 0,
    };
  });
  const clusters = await client.all('ClusterComputeResource', ['name', CLUSTER], signal);
  const parents = Map.groupBy(hosts, ({ properties }) => properties.get('parent')?.text ?? '');
  const balancing = clusters.map(({ ref: { value }, properties }) => {
    const own = (parents.get(value) ?? []).map((host) => host.ref.value);
    return clusterFact(wordIn(properties, 'name') ?? value, properties.get(CLUSTER), own);
  });
  const evc = await baselines(client, clusters, signal);
  const others = [judgeBalancer(balancing), ...judgeEvc(evc), judgeGuests(lists.guests())];
  return [judgeHosts(facts), judgeVmotion(facts), ...others];
}

function clusterFact(
  name: string,
  configuration: XmlElement | undefined,
  hosts: readonly string[],
): ClusterFact {
  if (configuration === undefined) return { name, moves: false, setsPower: false };
  const { moves } = maintenanceModeOf({ name, drs: drsIn(configuration) }, []);
  const { sets } = powerModeOf({ name, dpm: dpmIn(configuration) }, hosts);
  return { name, moves: moves === 'manager', setsPower: sets === 'manager' };
}

/** Advice for clusters without EVC and with more than one host. */
async function baselines(
  client: VsphereClient,
  clusters: readonly ObjectContent[],
  signal: AbortSignal,
): Promise<ClusterBaseline[]> {
  const modes = await evcModes(client, signal);
  const found: ClusterBaseline[] = [];
  for (const { ref: cluster, properties } of clusters) {
    const seen = await clusterFeatures(client, cluster, signal);
    if (seen === undefined || seen.hasEvc || seen.hosts.length < 2) continue;
    const name = wordIn(properties, 'name') ?? cluster.value;
    found.push({ name, baseline: baselineOf(seen.hosts, modes) });
  }
  return found;
}
