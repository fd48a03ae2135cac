/** Migrations of the made-up fleet, one of them open. Pure. */
import type { FleetMigration, MigrationNews } from '../../src/protocol/controller/history.ts';
import {
  migrationSettings,
  type Check,
  type Progress,
  type Report,
} from '../../src/protocol/public/migration.ts';
import type { PlanAnswer, PlanOption } from '../../src/protocol/public/plan.ts';
import {
  at,
  dice,
  DONE_ID,
  GIB,
  GUEST,
  guestAt,
  hostAt,
  MIB,
  OPEN_ID,
  REQUEST_ID,
} from './sample-values.ts';

const ended = (id: number, more: Partial<FleetMigration> = {}): FleetMigration => ({
  id: `m-ended${String(id).padStart(7, '0')}`,
  guest: guestAt(id),
  source: hostAt(id % 7),
  destination: hostAt((id % 7) + 3),
  mode: id % 5 === 0 ? 'hybrid' : 'precopy',
  state: 'ended',
  outcome: 'done',
  startedAt: at(20 + id * 3),
  endedAt: at(19 + id * 3),
  totalMs: 9000 + 40_000 * dice(id),
  downtimeMs: 12 + 120 * dice(id + 1),
  clientGapMs: 40 + 250 * dice(id + 2),
  bytes: Math.round((1 + 7 * dice(id)) * GIB),
  ...more,
});

const OPEN: FleetMigration = {
  id: OPEN_ID,
  guest: GUEST,
  source: hostAt(0),
  destination: hostAt(4),
  mode: 'precopy',
  state: 'open',
  startedAt: at(1),
  percent: 31,
  step: 'memory',
  request: REQUEST_ID,
  by: 'ann',
};

export function migrations(): FleetMigration[] {
  const failed = {
    outcome: 'failed',
    code: 'GODWIT_NOT_CONVERGED',
    words: 'it writes faster than the link takes',
  } as const;
  return [
    OPEN,
    ended(0, { id: DONE_ID, guest: 'db-0002' }),
    ...Array.from({ length: 12 }, (_, index) =>
      ended(index + 1, index === 4 ? failed : index === 7 ? { outcome: 'cancelled' } : {}),
    ),
  ];
}

const range = (middle: number) => ({ low: middle * 0.7, middle, high: middle * 1.4 });
const PREDICTION = {
  level: 0.9,
  bytes: range(5.1 * GIB),
  totalMs: range(21_000),
  memoryMs: range(19_000),
  rounds: range(5),
  downtimeMs: range(70),
  clientGapMs: range(140),
  converges: { probability: 0.97, why: 'it writes 96 MiB/s and the link takes 300 MiB/s' },
};

/** End (ms of the memory phase), GiB sent in all, MiB left. */
const ROUNDS = [
  [13_000, 4, 900],
  [16_900, 4.8, 350],
  [18_800, 5.1, 140],
  [19_900, 5.24, 60],
  [20_500, 5.3, 12],
] as const;

const roundList = ROUNDS.map(([endMs, sentGib, leftMib], index) => ({
  round: index + 1,
  atMs: 1400 + endMs,
  transferredBytes: Math.round(sentGib * GIB),
  remainingBytes: leftMib * MIB,
  rate: 310 * MIB - index * 4 * MIB,
  dirtyRate: (96 - index * 9) * MIB,
  ...(index >= 2 ? { throttlePercent: 20 + 10 * index } : {}),
}));

const DECISIONS = [
  { atMs: 14_400, what: 'goes on: round 2 is expected to take 3.1 s' },
  {
    atMs: 18_300,
    what: 'slows the guest down by 40 %: round 2 left 350 MiB, and 140 MiB/s are made dirty while 306 MiB/s go over',
    rule: 'outpaced' as const,
  },
  { atMs: 21_300, what: 'switches: 12 MiB are left, which takes 41 ms of the 100 ms allowed' },
];

export function reportOf(of: FleetMigration, rounds: number): Report {
  const isOpen = of.state === 'open';
  return {
    id: of.id,
    guest: of.guest,
    from: of.source,
    to: of.destination,
    outcome: isOpen ? 'running' : 'done',
    phase: isOpen ? 'memory' : 'done',
    mode: 'precopy',
    finished: isOpen ? 'none' : 'precopy',
    settings: migrationSettings.parse({}),
    prediction: PREDICTION,
    startedAt: of.startedAt,
    ...(of.endedAt === undefined ? {} : { endedAt: of.endedAt }),
    totalMs: isOpen ? 12_000 : 22_300,
    ...(isOpen
      ? {}
      : {
          downtimeMs: 62,
          blackoutMs: 75,
          bytes: Math.round(5.3 * GIB),
          rounds: 5,
          throughput: 270 * MIB,
          pageRequests: 0,
        }),
    memoryBytes: 8 * GIB,
    roundList: roundList.slice(0, rounds),
    phases: [
      { phase: 'checking' as const, ms: 380 },
      { phase: 'preparing' as const, ms: 1020 },
      ...(isOpen
        ? []
        : [
            { phase: 'memory' as const, ms: 20_100 },
            { phase: 'switchover' as const, ms: 75 },
            { phase: 'handover' as const, ms: 40 },
            { phase: 'verifying' as const, ms: 410 },
            { phase: 'cleanup' as const, ms: 275 },
          ]),
    ],
    checks: [],
    decisions: DECISIONS.slice(0, isOpen ? 2 : 3).filter(({ atMs }) => !isOpen || atMs < 19_000),
    takeovers: 0,
    runsAt: isOpen ? 'source' : 'destination',
  };
}

/** The stream of the open migration, `step` of `STEPS`. */
export const STEPS = 60;
export function progressAt(step: number): Progress {
  const elapsedMs = 1400 + step * 320;
  const inFirst = Math.min(1, step / 38);
  const round = step < 38 ? 1 : step < 52 ? 2 : 3;
  const leftInRound =
    round === 1
      ? 8 * (1 - inFirst) + 0.02
      : round === 2
        ? 0.9 * (1 - (step - 38) / 14) + 0.35
        : 0.35 * (1 - (step - 52) / 10);
  return {
    id: OPEN_ID,
    guest: GUEST,
    from: hostAt(0),
    to: hostAt(4),
    mode: 'precopy',
    phase: 'memory',
    elapsedMs,
    percent: Math.min(100, inFirst * 100),
    etaMs: Math.max(800, 22_000 - elapsedMs),
    sample: {
      totalBytes: 8 * GIB,
      remainingBytes: Math.round(Math.max(0.01, leftInRound) * GIB),
      transferredBytes: Math.round(Math.min(5.3, (elapsedMs / 21_000) * 5.3) * GIB),
      skippedBytes: 3 * GIB,
      rate: Math.round((300 + 18 * Math.sin(step / 3)) * MIB),
      dirtyRate: Math.round((round === 1 ? 0 : 140 - step * 0.9 + 10 * Math.sin(step)) * MIB),
      round,
      totalMs: elapsedMs - 1400,
      pageRequests: 0,
      expectedDowntimeMs: 60,
      ...(step > 50 ? { throttlePercent: 40 } : {}),
    },
    ...(step > 50 ? { note: 'slows the guest down by 40 %: round 2 left 350 MiB' } : {}),
  };
}

export function newsAt(step: number): MigrationNews[] {
  const id = `${OPEN_ID}-${step}`;
  const reported: MigrationNews[] = [{ id, type: 'progress', progress: progressAt(step) }];
  if (step === 0 || step === 38 || step === 52)
    reported.push({
      id,
      type: 'report',
      report: reportOf(OPEN, step < 38 ? 0 : step < 52 ? 1 : 2),
    });
  return reported;
}

/** What a move of `GUEST` would come to, in each mode. */
export function plan(): PlanAnswer {
  const way = (
    mode: PlanOption['mode'],
    path: PlanOption['path'],
    [seconds, downtimeMs, probability]: readonly [number, number, number],
  ): PlanOption => ({
    ...PREDICTION,
    mode,
    path,
    stream: { streams: 1, compress: 'none' },
    totalMs: range(seconds * 1000),
    downtimeMs: range(downtimeMs),
    clientGapMs: range(downtimeMs * 2),
    converges: { probability, why: PREDICTION.converges.why },
  });
  return {
    guest: GUEST,
    from: hostAt(0),
    host: { to: hostAt(4), verdict: 'warn', checks: [CLOCK] },
    measured: {
      how: 'pages',
      memoryBytes: 8 * GIB,
      pages: 4096,
      curve: [{ windowMs: 1000, dirtyBytes: 96 * MIB }],
    },
    link: { rate: 310 * MIB, how: 'measured', roundTripMs: 0.4 },
    prediction: way('precopy', 'native', [21, 70, 0.97]),
    others: [
      way('hybrid', 'native', [19, 24, 1]),
      way('postcopy', 'native', [16, 18, 1]),
      way('precopy', 'wire', [34, 90, 0.31]),
    ],
    advice: ['hybrid would be as good as certain to end, with a shorter downtime'],
  };
}

const CLOCK: Check = {
  name: 'clock',
  side: 'both',
  verdict: 'warn',
  evidence: 'the clocks of both hosts are 1.3 s apart',
  hint: 'Let both follow the same time server.',
};
