/** What was asked of the made-up fleet, and what is proposed. Pure. */
import type { Policy, Proposal } from '../../src/protocol/controller/policy.ts';
import type { Move, FleetRequest } from '../../src/protocol/controller/fleet-request.ts';
import type { FleetRequestPlan } from '../../src/protocol/controller/fleet-requests.ts';
import {
  GIB,
  GUEST,
  guestAt,
  hostAt,
  NOW_MS,
  OPEN_ID,
  ROLL_ID,
  REQUEST_ID,
} from './sample-values.ts';

const requestBase = {
  order: [],
  parallel: 4,
  plannedAtMs: NOW_MS - 120_000,
  tries: {},
  refused: {},
  queue: [],
  stays: [],
} satisfies Partial<FleetRequest>;

export function requests(): FleetRequest[] {
  return [
    {
      ...requestBase,
      id: REQUEST_ID,
      ask: { kind: 'drain', hosts: [hostAt(0)], priority: 0, settings: {} },
      phase: 'working',
      createdAtMs: NOW_MS - 180_000,
      createdBy: 'ann',
      queue: [
        {
          guest: 'db-0006',
          from: hostAt(0),
          to: hostAt(2),
          waitsFor: 'host-limit',
          words: '4 moves leave its host already',
          startsAtMs: Date.now() + 40_000,
        },
        {
          guest: 'web-0009',
          from: hostAt(0),
          waitsFor: 'window',
          words: 'its window begins at 01:00',
        },
      ],
      stays: [{ guest: 'cache-0003', host: hostAt(0), words: 'device usb0 is passed through' }],
      moved: 5,
      words: '5 of 9 guests moved; 1 under way, 2 wait, 1 stays',
    },
    {
      ...requestBase,
      id: ROLL_ID,
      ask: {
        kind: 'roll',
        hosts: [hostAt(5), hostAt(6), hostAt(7), hostAt(8)],
        priority: 0,
        settings: {},
        run: 'upgrade',
        comeBack: true,
      },
      phase: 'working',
      createdAtMs: NOW_MS - 3_600_000,
      createdBy: 'bob',
      roll: {
        at: 2,
        stage: 'waiting',
        sinceMs: NOW_MS - 200_000,
        before: { version: '0.1.0', bootId: 'b-1' },
        promised: { boot: 'new' },
        away: ['web-0021', 'db-0022'],
      },
      moved: 31,
      words: `2 of 4 hosts rolled; ${hostAt(7)} is waited for since its program ended`,
    },
  ];
}

export function movesOf(request: string): Move[] {
  if (request !== REQUEST_ID) return [];
  const phases = ['running', 'done', 'done', 'done', 'failed', 'done', 'done'] as const;
  return phases.map((phase, index): Move => ({
    id: index === 0 ? OPEN_ID : `m-ended${String(index).padStart(7, '0')}`,
    request,
    guest: guestAt(index * 4),
    from: hostAt(0),
    to: hostAt(3 + index),
    attempt: phase === 'failed' ? 2 : 1,
    phase,
    askedEpoch: 3,
    memoryBytes: (2 + index) * GIB,
    seconds: 20 + index,
    createdAtMs: NOW_MS - 170_000,
    ...(phase === 'running' ? {} : { endedAtMs: NOW_MS - 150_000 + index * 1500 }),
    settled: phase !== 'running',
    settings: {},
    ...(phase === 'failed'
      ? {
          error: {
            code: 'GODWIT_MEMORY_SHORT',
            message: 'the destination has 1.2 GiB of the 4 GiB that it needs',
            hint: 'Free memory there.',
            retryable: true,
            facts: {},
          },
        }
      : {}),
  }));
}

const cost = { bytes: 4.1 * GIB, seconds: 21, downtimeMs: 60 };
const one = (index: number, more: Partial<Proposal>): Proposal => ({
  id: `p-proposal${index}`,
  kind: 'balance',
  scope: 'fleet',
  run: 'r1',
  state: 'open',
  reason: 'overload',
  words: `${hostAt(index)} is asked for 71 of its 64 cores in the busiest hour`,
  moves: [
    {
      guest: guestAt(index * 3),
      from: hostAt(index),
      to: hostAt(index + 9),
      words: 'it asks for the most there, and the other host has room for its peak',
      cost,
      alternatives: [hostAt(index + 4)],
    },
  ],
  benefit: { processorSeconds: 5400 },
  cost,
  createdAtMs: NOW_MS - 600_000,
  confirmedAtMs: NOW_MS - 60_000,
  expiresAtMs: NOW_MS + 3_600_000,
  requests: [],
  ...more,
});

export function proposals(): Proposal[] {
  return [
    one(1, {}),
    one(2, {
      kind: 'consolidate',
      reason: 'empty-host',
      words: `${hostAt(2)} can be emptied: its guests fit elsewhere for the next day`,
      benefit: { watts: 210, emptied: hostAt(2) },
      moves: [0, 1, 2].map((each) => ({
        guest: guestAt(8 + each),
        from: hostAt(2),
        to: hostAt(11 + each),
        words: 'it fits',
        cost,
        alternatives: [],
      })),
    }),
    one(3, {
      state: 'accepted',
      decidedBy: 'ann',
      decidedAtMs: NOW_MS - 300_000,
      requests: ['r-proposal01'],
    }),
    one(4, {
      state: 'rejected',
      decidedBy: 'bob',
      decidedAtMs: NOW_MS - 900_000,
      why: 'it is rebooted tonight',
    }),
    one(5, {
      state: 'done',
      decidedBy: 'ann',
      decidedAtMs: NOW_MS - 9_000_000,
      endedAtMs: NOW_MS - 8_900_000,
      actual: {
        moved: 1,
        seconds: 24,
        downtimeMs: 55,
        bytes: 4 * GIB,
        benefit: { processorSeconds: 4900 },
      },
    }),
  ];
}

export function policies(): Policy[] {
  return [
    {
      kind: 'balance',
      scope: 'fleet',
      mode: 'propose',
      level: 3,
      movesPerHour: 60,
      residenceMs: 14_400_000,
      rejectedMs: 86_400_000,
      setBy: 'ann',
      setAtMs: NOW_MS - 9e6,
      look: {
        atMs: NOW_MS - 60_000,
        words: '2 hosts are asked for more than they have',
        refusals: ['db-0006 moved 40 minutes ago and stays for 4 h'],
      },
    },
    {
      kind: 'consolidate',
      scope: 'fleet',
      mode: 'approve',
      level: 3,
      movesPerHour: 60,
      residenceMs: 14_400_000,
      rejectedMs: 86_400_000,
      setBy: 'ann',
      setAtMs: NOW_MS - 9e6,
    },
  ];
}

/** The dry run of a move of `GUEST`. */
export function requestPlan(): FleetRequestPlan {
  return {
    steps: [{ guest: GUEST, from: hostAt(0), to: hostAt(4), seconds: 22 }],
    parallel: 1,
    seconds: 22,
    late: [],
    stays: [],
    waiting: [],
    blind: [],
  };
}
