import type {
  FleetGuest,
  FleetHost,
  HostState,
  SamplePoint,
} from '../../protocol/controller/fleet.ts';
import { defined } from '../../protocol/defined.ts';
import { guestInfo } from '../../protocol/public/hosts/host.ts';
import type { HostLoad } from '../../protocol/public/hosts/load.ts';
import type { GuestRow, HostRow } from '../store/tables.ts';
import type { MergedRow } from './claims.ts';
import { managedIn } from './managed-facts.ts';
import { MEASURES, type Point } from './samples.ts';

export function momentOf(ms: number): string {
  return new Date(ms).toISOString();
}

type HostColumns = Omit<HostRow, 'epoch' | 'changed_at' | 'info'>;

export function hostOfRow(row: HostColumns, followedBy?: string, load?: HostLoad): FleetHost {
  const { name, address, site, state, since, reason, version, cores, guests } = row;
  const { memory_bytes: memory, memory_available_bytes: available } = row;
  const { excess, excess_since: excessMs } = row;
  const { manager, closed } = managedIn(row) ?? {};
  const sample = load === undefined ? undefined : withoutGuests(load);
  return {
    name,
    address,
    ...(site === null ? {} : { site }),
    ...defined({ manager, closedByManager: closed }),
    guests,
    state: state as HostState,
    since: momentOf(since),
    ...(reason === null ? {} : { reason }),
    ...(excess === null ? {} : { excess: { since: momentOf(excessMs ?? since), words: excess } }),
    ...defined({ followedBy }),
    ...(version === null ? {} : { version }),
    ...(cores === null ? {} : { cores }),
    ...(memory === null ? {} : { memoryBytes: memory }),
    ...(available === null ? {} : { memoryAvailableBytes: available }),
    ...defined({ load: sample }),
  };
}

function withoutGuests({ guests: _guests, ...load }: HostLoad): FleetHost['load'] {
  return load;
}

const MAX_CLAIMS = 64;

/** `claimed`: hosts that claim to run it, if there are several. */
export function guestOfRow(
  { row, others: reports }: MergedRow<GuestRow>,
  host: { readonly state: HostState; readonly since: number },
  claimed: readonly string[],
  load?: FleetGuest['load'],
): FleetGuest {
  const copies = reports.slice(0, MAX_CLAIMS).map((each) => ({
    host: each.host,
    state: guestInfo.shape.state.parse(each.state),
  }));
  const { name, host: at, uuid, state, memory_bytes: memory, vcpus, driver } = row;
  const { manager, migration, labels, unmovable } = guestInfo.parse(JSON.parse(row.info));
  const others = claimed.filter((each) => each !== at).slice(0, MAX_CLAIMS);
  return {
    name,
    host: at,
    driver,
    state: guestInfo.shape.state.parse(state),
    ...(uuid === '' ? {} : { uuid }),
    ...(memory === null ? {} : { memoryBytes: memory }),
    ...(vcpus === null ? {} : { vcpus }),
    ...defined({ manager, labels, migration, load }),
    ...(unmovable.length === 0 ? {} : { unmovable }),
    hostState: host.state,
    hostSince: momentOf(host.since),
    ...(others.length === 0 ? {} : { alsoClaimedBy: others }),
    ...(copies.length === 0 ? {} : { copies }),
  };
}

export function pointOf({ atMs, count, mean, most }: Point, isSample: boolean): SamplePoint {
  const named = (values: readonly number[]): Record<string, number> =>
    Object.fromEntries(MEASURES.map((name, at) => [name, values[at] ?? 0]));
  const single = { at: momentOf(atMs), samples: count, mean: named(mean) };
  return isSample ? single : { ...single, most: named(most) };
}
