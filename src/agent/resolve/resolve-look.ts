import type { AgentConfig } from '../../config.ts';
import { findThirdHost, type ThirdHost } from '../../migration/direct/operator/elsewhere.ts';
import { doubtsOf, type GuestSightings } from '../../migration/direct/operator/guest-sightings.ts';
import { judge, safeAnswer } from '../../migration/direct/operator/resolution.ts';
import { defined } from '../../protocol/defined.ts';
import type { Answer, HostDoubts, Resolution, SideView } from '../../protocol/public/resolve.ts';
import type { Guests } from '../guests/guests.ts';
import { sightingOf } from '../guests/sightings.ts';
import { peerOf, type Sides } from '../migrations/sides.ts';
import type { Migration, MigrationStore } from '../migrations/store.ts';
import type { OtherSide, Peers } from '../peers.ts';

export interface ResolveLookDependencies {
  readonly config: AgentConfig;
  readonly store: MigrationStore;
  readonly guests: Guests;
  readonly peers: Peers;
  readonly sides: Sides;
}

export interface Look {
  readonly known: Resolution;
  readonly isDark: boolean;
  readonly inDoubt: readonly HostDoubts[];
  readonly third: ThirdHost | undefined;
  readonly records: number;
}

export async function lookAtSides(
  deps: ResolveLookDependencies,
  id: string,
  signal?: AbortSignal,
): Promise<Look> {
  const { store, sides, peers, config } = deps;
  const migration = store.need(id);
  const { request } = migration;
  const other = peerOf(migration).name;
  await sides.listen(migration);
  const records = countRecords(store, id);
  const [here, asked] = await Promise.all([
    sides.view(id, 'hypervisor'),
    peers.side(other, id, signal),
  ]);
  const there = 'view' in asked ? asked.view : undefined;
  const { guest } = here;
  const uuid = here.uuid ?? there?.uuid;
  const seen = await askFleet(deps, migration, { guest, uuid, asker: config.name, signal });
  const fleet = 'unreachable' in asked ? withUnreported(seen, other, asked.unreachable) : seen;
  const [source, destination] = request.side === 'source' ? [here, there] : [there, here];
  const { fromHost: from, toHost: to } = request;
  const answers = judge({ guest, from, to, source, destination, fleet });
  const inDoubt = doubtsOf(fleet, guest);
  const fencing = config.fencing !== undefined;
  const known = resolutionOf(migration, { here, asked, fencing, answers, fleet, inDoubt });
  const third = findThirdHost({ guest, from, to, fleet });
  return { known, isDark: 'isDark' in asked && asked.isDark, inDoubt, third, records };
}

export function countRecords(store: MigrationStore, id: string): number {
  const { source, destination, managed } = store.journals(id);
  return source.length + destination.length + managed.length;
}

export interface FleetQuestion {
  readonly guest: string;
  readonly uuid: string | undefined;
  /** Passed to this host's own sighting, which leaves out its side of the migration for itself. */
  readonly asker: string;
  readonly signal: AbortSignal | undefined;
}

export async function askFleet(
  { store, peers, guests, config }: ResolveLookDependencies,
  { id, request }: Migration,
  { guest, uuid, asker, signal }: FleetQuestion,
): Promise<GuestSightings> {
  const query = { id, ...defined({ uuid }) };
  const [own, others] = await Promise.all([
    sightingOf({ guests, store, host: config.name }, guest, { ...query, asker }),
    peers.sightings(guest, query, signal),
  ]);
  const sightings = [own, ...others.sightings];
  return { id, since: request.createdAt, uuid, sightings, unasked: others.unasked };
}

/** If the other side could not report its part, that reason replaces its other answer. */
function withUnreported(fleet: GuestSightings, other: string, why: string): GuestSightings {
  const unasked = fleet.unasked.filter(({ host }) => host !== other);
  return { ...fleet, unasked: [...unasked, { host: other, why }] };
}

export interface ResolutionParts {
  readonly here: SideView;
  readonly asked: OtherSide;
  readonly fencing: boolean;
  readonly answers: Answer[];
  readonly fleet: GuestSightings;
  readonly inDoubt: readonly HostDoubts[];
}

export function resolutionOf(
  { id, request }: Migration,
  { here, asked, fencing, answers, fleet, inDoubt }: ResolutionParts,
): Resolution {
  const { unasked } = fleet;
  return {
    id,
    guest: here.guest,
    from: request.fromHost,
    to: request.toHost,
    here,
    ...('view' in asked ? { there: asked.view } : { unreachable: asked.unreachable }),
    fencing,
    answers,
    ...(unasked.length === 0 ? {} : { unasked: [...unasked] }),
    ...(inDoubt.length === 0 ? {} : { inDoubt: inDoubt.slice(0, 1024) }),
    ...defined({ safe: safeAnswer(answers) }),
  };
}
