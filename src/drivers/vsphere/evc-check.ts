import type { Check } from '../../protocol/public/migration.ts';
import { managerPass, managerWarn } from '../port/manager-checks.ts';
import { adviceOf, baselineOf, some, trapAt } from './baseline.ts';
import type { VsphereClient } from './client.ts';
import { clusterFeatures, evcModes } from './features.ts';
import type { Target } from './order.ts';

/** vSphere itself compares; this says by what, and what a cluster without EVC could have. */
export async function evcCheck(
  client: VsphereClient,
  { host }: Pick<Target, 'host'>,
  guest: string | undefined,
  signal: AbortSignal,
): Promise<Check> {
  const there = host.evcMode ?? 'no EVC mode';
  const said = `the host has ${there}, the guest needs ${guest ?? 'none that is known'}`;
  const seen =
    host.evcMode !== undefined || host.parent === undefined
      ? undefined
      : await clusterFeatures(client, host.parent, signal);
  if (seen === undefined || seen.hosts.length < 2) return managerPass('evc', 'both', said);
  const baseline = baselineOf(seen.hosts, await evcModes(client, signal));
  const evidence = `${said}; its cluster has no EVC: ${adviceOf(baseline)}`;
  const features = seen.hosts.find(({ name }) => name === host.name)?.features;
  const trap = trapAt(host.name, { features }, baseline);
  if (trap === undefined) return managerPass('evc', 'both', evidence);
  const trapped = `off and on again there, the guest may use ${some(trap.features)}, and then moves no more to ${some(trap.hosts)}`;
  const { mode } = baseline;
  const hint =
    mode === undefined
      ? 'Keep the guest among hosts with the same processors.'
      : `Give the cluster the EVC mode ${mode.key}.`;
  return managerWarn('evc', 'both', `${evidence}; ${trapped}`, hint);
}
