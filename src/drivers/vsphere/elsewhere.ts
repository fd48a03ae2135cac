import type { Check } from '../../protocol/public/migration.ts';
import { at, type XmlElement } from '../../formats/xml.ts';
import { managerPass } from '../port/manager-checks.ts';
import { some } from './baseline.ts';
import type { VsphereClient } from './client.ts';
import { wordIn } from './inventory.ts';
import { ref, refIn, type Ref } from './soap.ts';
import { taskEnd } from './start-move.ts';

/** vSphere has no greater cluster. */
const MAX_HOSTS = 128;

/** Which other hosts of a cluster vSphere would move the guest to (QueryVMotionCompatibilityEx_Task). It starts nothing. */
export async function elsewhereCheck(
  client: VsphereClient,
  { vm, cluster, not }: { readonly vm: Ref; readonly cluster: Ref; readonly not: readonly Ref[] },
  signal: AbortSignal,
): Promise<Check | undefined> {
  const [seen] = await client.retrieve([{ ref: cluster, properties: ['host'] }], signal);
  const left = new Set(not.map(({ value }) => value));
  const hosts = (seen?.properties.get('host')?.children ?? [])
    .flatMap((each) => refIn(each) ?? [])
    .filter(({ value }) => !left.has(value))
    .slice(0, MAX_HOSTS);
  if (hosts.length === 0) return undefined;
  const checker = client.content.vmProvisioningChecker;
  const parts = [ref('vm', vm), ...hosts.map((host) => ref('host', host))];
  const task = await client.callForRef('QueryVMotionCompatibilityEx_Task', checker, parts, signal);
  const { fault, result } = await taskEnd(client, task, signal);
  if (fault !== undefined) return undefined;
  const able = new Set(compatibleIn(result));
  const wanted = hosts.filter(({ value }) => able.has(value));
  const named = await client.retrieve(
    wanted.map((host) => ({ ref: host, properties: ['name'] })),
    signal,
  );
  return elsewhereOf(named.flatMap(({ properties }) => wordIn(properties, 'name') ?? []));
}

/** Ids of the hosts of which vSphere names no error, of an ArrayOfCheckResult. Pure. */
export function compatibleIn(result: XmlElement | undefined): string[] {
  const results = result === undefined ? [] : at(result, 'CheckResult');
  return results
    .filter((each) => at(each, 'error').length === 0)
    .flatMap((each) => refIn(at(each, 'host')[0])?.value ?? []);
}

function elsewhereOf(names: readonly string[]): Check {
  const evidence =
    names.length === 0
      ? 'vSphere names no other host of the cluster that would take the guest'
      : `vSphere would move the guest to ${some(names)}`;
  return managerPass('elsewhere', 'destination', evidence);
}
