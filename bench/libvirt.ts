import { domainStates, startDomain, stopDomain } from '../lab/libvirt/guest.ts';
import { openProbe } from '../lab/probe/probe.ts';
import type { LabGuest } from '../lab/guest/registry.ts';
import type { Lab } from '../lab/state.ts';
import { median, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { godwitMigrate } from './godwit.ts';
import { otherHost, untilDirtied, untilQuiet, withLab } from './lab.ts';
import { byVirsh, gapOf, jobMs, packagesOf } from './libvirt-moves.ts';
import { wireTable } from './libvirt-wire.ts';
import { schedule } from './overhead.ts';

const GUEST = 'web1';
const MIB = 1024 ** 2;
const LAB = { manager: 'libvirt', linkBytesPerSecond: 125_000_000 } as const;
/** As small as that: the more an emulated guest writes, the more often it is lost. */
const LOAD = { memoryBytes: 192 * MIB, workingSetBytes: 32 * MIB, dirtyBytesPerSecond: 2 * MIB };
const DEFAULT_RUNS = 7;
const MAX_DOWNTIME_MS = 20;
const PROBE_MS = 2;
const WARM_UP_MS = 2000;
const MOVE_MS = 180_000;
const SIDES = ['godwit', 'hand'] as const;
type Side = (typeof SIDES)[number];

/** What one move came to, ms. */
interface MoveResult {
  /** By the one who ordered it: Godwit's report, or how long virsh took. */
  readonly totalMs: number;
  /** By libvirt's own account of its job. */
  readonly jobMs: number;
  /** Absent where the client's connection was lost. */
  readonly clientGapMs?: number;
}

interface ComparisonResult {
  readonly moved: Readonly<Record<Side, MoveResult[]>>;
  /** Guests whose client lost its connection. */
  readonly lost: Record<Side, number>;
}

export const libvirt: Bench = {
  name: 'libvirt',
  summary:
    'a guest of libvirt by Godwit against `virsh migrate --live --p2p` [--libvirt]; over the wire with [--link --delay --memory --dirty --rewrite --only]',
  run: async (options) => {
    if (options.words?.link !== undefined) return wireTable(options);
    const managerPackages = await packagesOf(options);
    return withLab(options, (lab) => compare(lab, options), { ...LAB, managerPackages });
  },
};

async function compare(lab: Lab, options: BenchOptions): Promise<Measure[]> {
  const { signal, say } = options;
  const pairs = options.runs ?? DEFAULT_RUNS;
  const { moved, lost }: ComparisonResult = {
    moved: { godwit: [], hand: [] },
    lost: { godwit: 0, hand: 0 },
  };
  const begin = (): Promise<LabGuest> =>
    startDomain(lab, { name: GUEST, host: 'a', ...LOAD, signal });
  let guest = await begin();
  // The first move of each side only warms caches up.
  for (const [index, side] of schedule(pairs + 1).entries()) {
    await untilQuiet(lab, signal);
    const [found] = await domainStates(lab, GUEST);
    const from = found?.host ?? 'a';
    const client = await openProbe(lab, GUEST, { intervalMs: PROBE_MS, signal });
    await untilDirtied(lab, guest, WARM_UP_MS, signal);
    await client.mark();
    const times = await MOVES[side](lab, { from, to: otherHost(lab, from) }, signal);
    const clientGapMs = await gapOf(client, signal);
    await client.stop();
    const result = { ...times, ...(clientGapMs === undefined ? {} : { clientGapMs }) };
    say(`${side.padEnd(7)}${describe(result)}${index < 2 ? '  (warming up)' : ''}`);
    if (index >= 2) moved[side].push(result);
    if (clientGapMs !== undefined) continue;
    lost[side] += 1;
    await stopDomain(lab, GUEST);
    guest = await begin();
  }
  return measures({ moved, lost });
}

interface Way {
  readonly from: string;
  readonly to: string;
}
type Times = Omit<MoveResult, 'clientGapMs'>;

const MOVES: Readonly<Record<Side, (lab: Lab, way: Way, signal: AbortSignal) => Promise<Times>>> = {
  godwit: async (lab, { to }, signal) => {
    const words = ['--max-downtime', `${MAX_DOWNTIME_MS}ms`];
    const { report } = await godwitMigrate(lab, { guest: GUEST, to, words }, signal);
    return { totalMs: report.totalMs, jobMs: await jobMs(lab, GUEST, to) };
  },
  /** The same flags, limits and certificates. */
  hand: async (lab, { from, to }) => {
    const asked = { guest: GUEST, from, to, maxDowntimeMs: MAX_DOWNTIME_MS, deadlineMs: MOVE_MS };
    const totalMs = await byVirsh(lab, asked);
    return { totalMs, jobMs: await jobMs(lab, GUEST, to) };
  },
};

function describe({ totalMs, jobMs: job, clientGapMs = Number.NaN }: MoveResult): string {
  const ms = (value: number): string => `${value.toFixed(0).padStart(5)} ms`;
  return `total ${ms(totalMs)}, libvirt's job ${ms(job)}, client gap ${ms(clientGapMs)}`;
}

/** Both sides' medians, what Godwit adds, and whose guests were lost. A gap is of those that were not. */
export function measures({ moved, lost }: ComparisonResult): Measure[] {
  const [total, job, gap] = [
    of(moved, ({ totalMs }) => totalMs),
    of(moved, ({ jobMs: value }) => value),
    of(moved, ({ clientGapMs }) => clientGapMs),
  ];
  const runs = moved.godwit.length;
  const gaps = Math.min(...SIDES.map((side) => moved[side].filter(hasGap).length));
  const ms = (name: string, { godwit, hand }: Medians): Measure[] => [
    { name: `${name}, Godwit`, value: godwit, unit: 'ms', runs },
    { name: `${name}, virsh`, value: hand, unit: 'ms', runs },
  ];
  const ratio = ({ godwit, hand }: Medians) => ({ value: godwit / hand, unit: 'x', runs });
  return [
    { name: 'total time, Godwit / virsh', ...ratio(total), target: { atMost: 1.08 } },
    { name: 'libvirt’s job, Godwit / virsh', ...ratio(job) },
    {
      name: 'client gap, Godwit - virsh',
      value: gap.godwit - gap.hand,
      unit: 'ms',
      runs: gaps,
      // Where most guests were lost, the few gaps that are left say nothing.
      ...(gaps * 2 >= runs ? { target: { atMost: 5 } } : {}),
    },
    ...ms('total time', total),
    ...ms('libvirt’s job', job),
    ...ms('client gap', gap),
    { name: 'guests lost, Godwit', value: lost.godwit, unit: '', runs },
    { name: 'guests lost, virsh', value: lost.hand, unit: '', runs },
  ];
}

const hasGap = ({ clientGapMs }: MoveResult): boolean => clientGapMs !== undefined;

interface Medians {
  readonly godwit: number;
  readonly hand: number;
}

/** NaN where a side has none. */
function of(
  moved: ComparisonResult['moved'],
  value: (each: MoveResult) => number | undefined,
): Medians {
  const middle = (side: readonly MoveResult[]): number => {
    const known = side.map(value).filter((each) => each !== undefined);
    return known.length === 0 ? Number.NaN : median(known);
  };
  return { godwit: middle(moved.godwit), hand: middle(moved.hand) };
}
