import { withDeadline } from '../src/deadline.ts';
import { systemClock } from '../src/clock.ts';
import { startGuest } from '../lab/guest/start.ts';
import { readGuestStats } from '../lab/guest/talk.ts';
import type { Lab } from '../lab/state.ts';
import { formatDuration } from '../src/protocol/quantity.ts';
import { moveByHand } from './by-hand.ts';
import { onlyOf, type Bench, type BenchOptions, type Measure } from './contract.ts';
import {
  downtimeOf,
  FEW,
  lostOf,
  MAX_DOWNTIME_MS,
  nameOf,
  pointsOf,
  verdictOf,
  WAYS,
  WHOLE,
  type ConvergenceMethod,
  type Point,
  type MoveResult,
} from './convergence-grid.ts';
import { godwitMigrate, isUnmoved } from './godwit.ts';
import { otherHost, untilDirtied, untilQuiet, untilWritten, withLab } from './lab.ts';
import { spans } from './stream-times.ts';

const MIB = 1024 ** 2;
/** Has room for 80 % beside its kernel. */
const WHOLE_MEMORY = 768 * MIB;
const FEW_MEMORY = 256 * MIB;
/** Of the smaller guest's memory, beside its kernel. */
const FEW_MOST_SET = 0.5;
/** Of the working set, what is written again and again. In the larger guest the rest has no room beside 80 % of its memory. */
const REWRITTEN = 0.9;
const WHOLE_REWRITTEN = 0.98;
/** bytes/s: a slow link, so that an emulated guest can outrun it. */
const LINK = 10 * MIB;
/** How long a move may take: all points, or a few. */
const WHOLE_CUT_MS = 120_000;
const FEW_CUT_MS = 40_000;
const SETTLE_MS = 2000;
const NAME = 'web1';

/** The words of each way; what is not there is moved by QEMU alone. */
const WORDS: Readonly<Partial<Record<ConvergenceMethod, readonly string[]>>> = {
  standard: ['--steering', 'standard'],
  'must-finish': ['--steering', 'must-finish'],
  postcopy: ['--mode', 'postcopy'],
};
/** As QEMU has it by itself, and as an administrator has it who turns that on. */
const QEMU = { name: 'qemu', capabilities: [], parameters: {} } as const;
const AUTO_CONVERGE = {
  name: 'auto-converge',
  capabilities: ['auto-converge'],
  parameters: {},
} as const;

export const convergence: Bench = {
  name: 'convergence',
  summary:
    'guests that write as fast as the link takes, by strategy and by QEMU’s settings [--whole] [--points 1-24] [--only WAY]',
  run: async (options) => {
    const only = onlyOf(options, WAYS);
    const ways = WAYS.filter((way) => only === undefined || only.includes(way));
    const { whole: isWhole = false, points: named } = options.words ?? {};
    const few = FEW.slice(0, options.runs ?? FEW.length);
    const points = named === undefined ? (isWhole ? WHOLE : few) : pointsOf(named);
    const isLarge = isWhole || points.some(({ set }) => set > FEW_MOST_SET);
    const cutMs = isLarge ? WHOLE_CUT_MS : FEW_CUT_MS;
    const size = isLarge
      ? { memoryBytes: WHOLE_MEMORY, rewritten: WHOLE_REWRITTEN }
      : { memoryBytes: FEW_MEMORY, rewritten: REWRITTEN };
    const tried: MoveResult[] = [];
    for (const point of points) {
      // A move by hand that is cut leaves both its QEMUs as they are: it has a lab of its own.
      const byGodwit = ways.filter((way) => WORDS[way] !== undefined);
      const byHand = ways.filter((way) => WORDS[way] === undefined).map((way) => [way]);
      for (const some of [byGodwit, ...byHand]) {
        if (some.length === 0) continue;
        tried.push(...(await ofPoint({ point, ways: some, ...size, cutMs }, options)));
      }
    }
    return measuresOf(tried);
  },
};

interface Course {
  readonly point: Point;
  readonly ways: readonly ConvergenceMethod[];
  readonly memoryBytes: number;
  readonly rewritten: number;
  readonly cutMs: number;
}

/** Moves one guest to and fro, once in each way. */
async function ofPoint(
  { point, ways, memoryBytes, rewritten, cutMs }: Course,
  options: BenchOptions,
): Promise<MoveResult[]> {
  return withLab(
    options,
    async (lab) => {
      const { signal, say } = options;
      const guest = await startGuest(lab, {
        name: NAME,
        host: 'a',
        memoryBytes,
        workingSetBytes: Math.round((point.set * memoryBytes) / rewritten / MIB) * MIB,
        rewrittenShare: rewritten,
        dirtyBytesPerSecond: Math.round(point.dirty * LINK),
        signal,
      });
      // Pages that it has yet to write for the first time are zeros, of which the first way would send fewer than the last.
      await untilWritten(lab, guest, signal);
      const tried: MoveResult[] = [];
      let at = 'a';
      for (const way of ways) {
        await untilDirtied(lab, guest, SETTLE_MS, signal);
        const to = otherHost(lab, at);
        const one = await tryOnce({ lab, point, way, from: at, to, cutMs }, options);
        say(lineOf(one));
        tried.push(one);
        if (one.isThere) at = to;
        await untilQuiet(lab, signal);
      }
      return tried;
    },
    { linkBytesPerSecond: LINK },
  );
}

interface Move {
  readonly lab: Lab;
  readonly point: Point;
  readonly way: ConvergenceMethod;
  readonly from: string;
  readonly to: string;
  readonly cutMs: number;
}

/** `isThere`: the guest is at its destination, if only after the cut: post-copy has no way back. */
async function tryOnce(
  move: Move,
  { signal }: BenchOptions,
): Promise<MoveResult & { readonly isThere: boolean }> {
  const { lab, point, way, cutMs } = move;
  const stats = () => readGuestStats(lab, NAME, { signal });
  const bytesPerSecond = await rateOf(stats, signal);
  const before = await stats();
  const startMs = systemClock.monotonicMs();
  const came = await moved(move, signal);
  const totalMs = systemClock.monotonicMs() - startMs;
  const after = await stats();
  const wallMs = systemClock.monotonicMs() - startMs;
  const lostS = lostOf(wallMs, after.dirtiedBytes - before.dirtiedBytes, bytesPerSecond);
  const isThere = came !== undefined;
  return { point, way, totalMs, lostS, isThere, finished: isThere && totalMs <= cutMs, ...came };
}

/** What the guest writes while nothing moves, bytes/s. */
async function rateOf(
  stats: () => Promise<{ readonly dirtiedBytes: number }>,
  signal: AbortSignal,
): Promise<number> {
  const first = await stats();
  const atMs = systemClock.monotonicMs();
  await systemClock.sleep(SETTLE_MS, signal);
  const last = await stats();
  const tookMs = systemClock.monotonicMs() - atMs;
  return ((last.dirtiedBytes - first.dirtiedBytes) * 1000) / tookMs;
}

/** Undefined where it did not end in its time, or was given up. */
async function moved(
  { lab, way, from, to, cutMs }: Move,
  signal: AbortSignal,
): Promise<{ downtimeMs?: number } | undefined> {
  const how = WORDS[way];
  try {
    if (how === undefined) {
      const setting = way === 'qemu' ? QEMU : AUTO_CONVERGE;
      const hand = { lab, guest: NAME, from, to, maxDowntimeMs: MAX_DOWNTIME_MS, streamMs: cutMs };
      const times = await withDeadline('the move by hand', cutMs + 30_000, signal, (inner) =>
        moveByHand({ ...hand, setting, signal: inner }),
      );
      const { stoppedMs } = spans(times);
      return stoppedMs === undefined ? {} : { downtimeMs: stoppedMs };
    }
    const limits = ['--max-downtime', `${MAX_DOWNTIME_MS}ms`, '--give-up-after', `${cutMs}ms`];
    const words = [...how, ...limits];
    return downtimeOf(await godwitMigrate(lab, { guest: NAME, to, mode: 'none', words }, signal));
  } catch (thrown) {
    signal.throwIfAborted();
    // What did not converge; anything else is a fault of the benchmark.
    const text =
      thrown instanceof Error ? `${thrown.message} ${String(thrown.cause)}` : String(thrown);
    if (isUnmoved(thrown) || /GODWIT_DEADLINE|(migration|move) by hand took longer/.test(text))
      return undefined;
    throw thrown;
  }
}

function lineOf({ point, way, finished, totalMs, downtimeMs, lostS }: MoveResult): string {
  const end = finished ? 'finished' : 'not finished';
  const down = downtimeMs === undefined ? '' : `, down ${downtimeMs.toFixed(0)} ms`;
  return `${nameOf(point)}, ${way}: ${end}, ${formatDuration(totalMs)}${down}, ${lostS.toFixed(1)} s of its work lost`;
}

function measuresOf(tried: readonly MoveResult[]): Measure[] {
  const each = tried.flatMap(({ point, way, finished, totalMs, downtimeMs, lostS }): Measure[] => {
    const name = `${nameOf(point)}, ${way}`;
    const words = finished ? '' : ' (not finished)';
    return [
      { name: `${name}${words}`, value: totalMs / 1000, unit: 's', runs: 1 },
      { name: `${name}: work lost`, value: lostS, unit: 's', runs: 1 },
      ...(downtimeMs === undefined
        ? []
        : [{ name: `${name}: downtime`, value: downtimeMs, unit: 'ms', runs: 1 }]),
    ];
  });
  const { points, missed, asGood } = verdictOf(tried);
  const anyDowntime = verdictOf(tried, Infinity);
  return [
    ...each,
    {
      name: 'points as good, if the longest downtime did not count',
      value: (anyDowntime.asGood / anyDowntime.points) * 100,
      unit: '%',
      runs: anyDowntime.points,
    },
    {
      name: 'points that only another way got through',
      value: missed,
      unit: '',
      runs: points,
      target: { atMost: 0 },
    },
    {
      name: 'points as good as the best single setting',
      value: (asGood / points) * 100,
      unit: '%',
      runs: points,
      target: { atLeast: 90 },
    },
  ];
}
