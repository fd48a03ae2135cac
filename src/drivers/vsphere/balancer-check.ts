import type { MaintenanceMode, PowerMode } from '../../protocol/public/managed-host.ts';
import type { Check } from '../../protocol/public/migration.ts';
import { managerPass } from '../port/manager-checks.ts';
import type { VsphereClient } from './client.ts';
import { dpmIn, powerModeOf } from './dpm.ts';
import { drsIn, maintenanceModeOf } from './drs.ts';
import { CLUSTER_PROPERTIES, wordIn } from './inventory.ts';
import type { Target } from './order.ts';
import { refIn } from './soap.ts';

/** Who else moves guests in the destination's cluster: what is moved there by hand may be moved on. It starts nothing. */
export async function balancerCheck(
  client: VsphereClient,
  { host }: Pick<Target, 'host'>,
  guest: { readonly id: string; readonly name: string },
  signal: AbortSignal,
): Promise<Check[]> {
  const { parent } = host;
  if (parent?.type !== 'ClusterComputeResource') return [];
  const wanted = { ref: parent, properties: [...CLUSTER_PROPERTIES, 'host'] };
  const [seen] = await client.retrieve([wanted], signal);
  const configuration = seen?.properties.get('configurationEx');
  if (seen === undefined || configuration === undefined) return [];
  const name = wordIn(seen.properties, 'name') ?? parent.value;
  const hosts = (seen.properties.get('host')?.children ?? []).flatMap(
    (each) => refIn(each)?.value ?? [],
  );
  const mode = maintenanceModeOf({ name, drs: drsIn(configuration) }, [guest]);
  const power = powerModeOf({ name, dpm: dpmIn(configuration) }, hosts);
  return [balancerOf(guest.name, mode, power)];
}

/** Pure. */
export function balancerOf(guest: string, mode: MaintenanceMode, power: PowerMode): Check {
  const moves =
    mode.moves === 'manager' && mode.leaves.includes(guest)
      ? `${mode.words} moves guests by itself, and leaves ${guest} where it is`
      : mode.moves === 'manager'
        ? `${mode.words} moves guests by itself: it may move ${guest} on from there`
        : mode.words;
  const sets =
    power.sets === 'manager'
      ? `${power.words} puts hosts to sleep by itself, and moves their guests for that`
      : power.words;
  return managerPass('balancer', 'destination', `${moves}; ${sets}`);
}
