import type { Sides } from '../../../src/migration/direct/operator/elsewhere.ts';
import type { SideView } from '../../../src/protocol/public/resolve.ts';
import {
  HOSTS,
  MIGRATION,
  SOUGHT,
  reaches,
  sightingAt,
  type LeavesOut,
  type World,
} from './world.ts';

const common = {
  id: MIGRATION,
  guest: SOUGHT.guest,
  epoch: 1,
  phase: 'held',
  postcopy: false,
  unsure: false,
  moverAlive: false,
  complete: true,
} as const;

/** What `resolve` at a has to judge. */
export function sidesOf(world: World, leavesOut: LeavesOut): Sides {
  return sides(world, destinationView(world), leavesOut);
}

/** The same with the view that a host with b's certificate makes up: that it has refused, and never ran the guest. */
export function claimOfTheft(world: World, leavesOut: LeavesOut): Sides {
  const claimed = { phase: 'failed', right: 'refused', hypervisor: 'none', hasRun: false } as const;
  return sides(world, { ...common, ...claimed, host: 'b', side: 'destination' }, leavesOut);
}

function sides(world: World, destination: SideView | undefined, leavesOut: LeavesOut): Sides {
  const others = HOSTS.filter((host) => host !== 'a' && host !== 'b');
  const dark = HOSTS.filter((host) => host !== 'a' && !reaches(world, 'a', host));
  const { right, paused } = world.source;
  const hypervisor = paused ? 'handed-over' : 'gone';
  return {
    guest: SOUGHT.guest,
    from: 'a',
    to: 'b',
    source: { ...common, host: 'a', side: 'source', right, hypervisor },
    destination,
    fleet: {
      id: MIGRATION,
      since: SOUGHT.since,
      uuid: SOUGHT.uuid,
      sightings: others
        .filter((host) => reaches(world, 'a', host))
        .map((host) => sightingAt(world, host, { id: MIGRATION, asker: 'a', leavesOut })),
      unasked: dark
        .filter((host) => host !== 'b' || destination === undefined)
        .map((host) => ({ host, why: 'dark' })),
    },
  };
}

/** Undefined if b does not answer, or cannot read its record. */
function destinationView(world: World): SideView | undefined {
  const { right, armedIn, hasRun, ended, built, damaged } = world.destination;
  if (!reaches(world, 'a', 'b') || damaged) return undefined;
  const runs = world.runs.includes('b') && world.recoveries.b.stage !== 'ran';
  const alive = built ? 'paused' : 'none';
  const outcome = right === 'running' ? 'done' : 'failed';
  return {
    ...common,
    host: 'b',
    side: 'destination',
    phase: ended ? outcome : 'handover',
    right,
    hypervisor: runs ? 'running' : alive,
    complete: runs || built,
    unsure: right === 'armed' && armedIn !== world.boot.b,
    hasRun,
  };
}
