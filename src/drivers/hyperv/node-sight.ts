import type {
  MaintenanceMode,
  MaintenanceSight,
} from '../../protocol/public/hosts/managed-host.ts';
import { guestName } from '../../protocol/names.ts';
import type { Answers, ClusterNode, GuestFacts } from './answers.ts';

/** Drain state of a failover cluster's node, from `State` and `DrainStatus` of Get-ClusterNode. Pure. */

const MAX_LEFT = 4096;

/** The cluster moves its roles; other guests are left to the caller. */
export function clusterMode(
  { name }: Pick<ClusterNode, 'name'>,
  guests: readonly Pick<GuestFacts, 'name' | 'clustered'>[],
): MaintenanceMode {
  const leaves = guests
    .filter((each) => !each.clustered && guestName.safeParse(each.name).success)
    .slice(0, MAX_LEFT)
    .map((each) => each.name);
  return { moves: 'manager', words: `the cluster ${name}`.slice(0, 128), leaves };
}

export function sightOfNode({ state, drain, code }: Answers['node']): MaintenanceSight {
  if (state !== 'Paused') {
    const reason = `its node is ${state === '' ? 'unknown' : state}, and not paused: somebody has resumed it`;
    return { state: 'out', failed: { reason: reason.slice(0, 1000), cancelled: true } };
  }
  switch (drain) {
    case 'Completed':
      return { state: 'in' };
    case 'InProgress':
      return { state: 'entering' };
    case 'Failed': {
      const reason = `the cluster could not drain its node (error ${code})`;
      return { state: 'out', failed: { reason, cancelled: false } };
    }
    default:
      return { state: 'out' };
  }
}
