import type { HostHeard } from '../../../src/controller/requests/occupancy.ts';
import {
  DEFAULT_LIMITS,
  type GuestFacts,
  type HostFacts,
  type World,
} from '../../../src/controller/requests/facts.ts';
import {
  newRequest,
  type Move,
  type FleetRequest,
  type FleetRequestAsk,
} from '../../../src/protocol/controller/fleet-request.ts';

export const GIB = 1024 ** 3;
export const NOW = 1_800_000_000_000;

export const host = (name: string, more: Partial<HostFacts> = {}): HostFacts => ({
  name,
  seenAtMs: NOW,
  cores: 16,
  memoryBytes: 64 * GIB,
  ...more,
});

export const guest = (name: string, at: string, more: Partial<GuestFacts> = {}): GuestFacts => ({
  name,
  at: [{ host: at, state: 'running' }],
  memoryBytes: GIB,
  vcpus: 1,
  demand: [0.1],
  unmovable: [],
  ...more,
});

export interface Fleet extends Partial<Omit<World, 'hosts' | 'guests' | 'labels'>> {
  readonly hosts: readonly HostFacts[];
  readonly guests: readonly GuestFacts[];
  readonly labels?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export function world({ hosts, guests, labels, ...more }: Fleet): World {
  return {
    nowMs: NOW,
    marks: new Map(),
    reservations: [],
    limits: DEFAULT_LIMITS,
    others: [],
    ...more,
    hosts: new Map(hosts.map((each) => [each.name, each])),
    guests: new Map(guests.map((each) => [each.name, each])),
    labels: new Map(Object.entries(labels ?? {})),
  };
}

export function drainOf(at: string, more: Partial<FleetRequestAsk> = {}): FleetRequest {
  const ask = { kind: 'drain' as const, hosts: [at], priority: 0, settings: {}, ...more };
  return newRequest('r-00000001', ask, { nowMs: NOW, by: 'test' });
}

export const moveOf = (more: Partial<Move> = {}): Move => ({
  id: 'm-00000001',
  request: 'r-00000001',
  guest: 'g1',
  from: 'a',
  to: 'b',
  attempt: 1,
  phase: 'running',
  askedEpoch: 1,
  memoryBytes: GIB,
  seconds: 10,
  createdAtMs: NOW,
  settled: false,
  settings: {},
  ...more,
});

/** Each host answers with the guests that the world has there: nothing comes that nobody lists. */
export function answersOf({ hosts, guests }: World): Map<string, HostHeard> {
  return new Map(
    [...hosts.keys()].map((name): [string, HostHeard] => {
      const there = [...guests.values()].filter(({ at }) => at.some((each) => each.host === name));
      const occupancy = { guests: there.map((each) => each.name), underWay: [] };
      return [name, { of: 'host', occupancy }];
    }),
  );
}
