import { startGuest } from '../lab/guest/start.ts';
import { stopGuest } from '../lab/guest/stop.ts';
import { openProbe } from '../lab/probe/probe.ts';
import type { Lab } from '../lab/state.ts';
import { planAnswer } from '../src/protocol/public/plan.ts';
import type { Mode, Report } from '../src/protocol/public/migration.ts';
import { formatBytes, formatDuration, parseRate } from '../src/protocol/quantity.ts';
import { onlyOf, type Bench, type BenchOptions } from './contract.ts';
import { chances } from '../faults/chance.ts';
import { cameTo } from '../src/migration/report/outcome-figures.ts';
import { godwitMigrate, godwitPlan, isUnmoved } from './godwit.ts';
import { otherHost, untilDirtied, untilQuiet, untilWritten, withLab } from './lab.ts';
import { measures, type ScoredMove } from './prediction-score.ts';

const MIB = 1024 ** 2;
const MEMORY = 256 * MIB;
/** Of each way, of each guest, over each link: 60 moves. */
const DEFAULT_RUNS = 1;
/** What is said not to end is given so long. */
const TIMEOUT = '40s';
/** Before each plan the guest writes as it will during the move, ms. */
const SETTLE_MS = 1000;
/** After a move all that the client asked is answered within this, ms. */
const SETTLED_MS = 60_000;

const LINKS = { '100mbit': 1, '400mbit': 1, '1gbit': 1, uncapped: 0 } as const;
const GUESTS = {
  idle: { workingSetBytes: 32 * MIB, dirtyBytesPerSecond: 0 },
  light: { workingSetBytes: 64 * MIB, dirtyBytesPerSecond: 2 * MIB },
  busy: { workingSetBytes: 64 * MIB, dirtyBytesPerSecond: 16 * MIB },
  wide: { workingSetBytes: 96 * MIB, dirtyBytesPerSecond: 6 * MIB },
  /** More than 400 Mbit/s carries. */
  hard: { workingSetBytes: 128 * MIB, dirtyBytesPerSecond: 64 * MIB },
} as const;
/** By a seed a guest's set and what it writes are up to so many times what is named, or that part of it. */
const SET_SPREAD = 1.3;
/** A guest of this memory has room for no more. */
const MAX_SET = 128;
const RATE_SPREAD = 1.6;
const WAYS: Readonly<Record<string, { readonly mode: Mode; readonly words: readonly string[] }>> = {
  precopy: { mode: 'precopy', words: [] },
  zstd: { mode: 'precopy', words: ['--streams', '4', '--compress', 'zstd'] },
  postcopy: { mode: 'postcopy', words: [] },
};
const NAMES = [...Object.keys(LINKS), ...Object.keys(GUESTS), ...Object.keys(WAYS)];

/** Of what `--only` names, those of this kind; all of them where it names none. */
function chosen<T extends string>(
  only: readonly string[] | undefined,
  all: Record<T, unknown>,
): T[] {
  const keys = Object.keys(all) as T[];
  const named = keys.filter((key) => only?.includes(key));
  return named.length === 0 ? keys : named;
}

export const prediction: Bench = {
  name: 'prediction',
  summary:
    'what plans say beside what the moves after them come to [--seed N] [--only LINK,GUEST,WAY]',
  run: async (options) => {
    const only = onlyOf(options, NAMES);
    const seed = seedOf(options);
    const scored: ScoredMove[] = [];
    for (const link of chosen(only, LINKS)) {
      const rate = link === 'uncapped' ? {} : { linkBytesPerSecond: parseRate(link) };
      await withLab(
        options,
        async (lab) => {
          for (const guest of chosen(only, GUESTS))
            scored.push(...(await ofGuest({ lab, link, guest, only, seed }, options)));
        },
        rate,
      );
    }
    return measures(scored);
  },
};

interface Course {
  readonly lab: Lab;
  readonly link: string;
  readonly guest: keyof typeof GUESTS;
  readonly only: readonly string[] | undefined;
  readonly seed: number | undefined;
}

/** Throws for what is none: it would measure something else. */
function seedOf({ words }: BenchOptions): number | undefined {
  if (words?.seed === undefined) return undefined;
  const seed = Number(words.seed);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new RangeError('--seed takes a whole number');
  return seed;
}

/** What a guest writes, and the ways in their order: as they are named above, or drawn around that by a seed. */
export function drawn({
  link,
  guest,
  only,
  seed,
}: Pick<Course, 'link' | 'guest' | 'only' | 'seed'>) {
  const ways = chosen(only, WAYS);
  const named = GUESTS[guest];
  if (seed === undefined) return { ...named, ways };
  const next = chances(seed, `${link} ${guest}`);
  const around = (value: number, spread: number): number =>
    Math.round(value * spread ** (2 * next() - 1));
  return {
    workingSetBytes: Math.min(MAX_SET, around(named.workingSetBytes / MIB, SET_SPREAD)) * MIB,
    dirtyBytesPerSecond: around(named.dirtyBytesPerSecond, RATE_SPREAD),
    ways: ways
      .map((way) => ({ way, at: next() }))
      .toSorted((left, right) => left.at - right.at)
      .map(({ way }) => way),
  };
}

/** Moves one guest to and fro, each way as often, each move after a plan of it. */
async function ofGuest(course: Course, options: BenchOptions) {
  const { lab, link, guest: kind } = course;
  const { ways, ...writes } = drawn(course);
  const { signal, say, runs = DEFAULT_RUNS } = options;
  const guest = await startGuest(lab, {
    name: 'web1',
    host: 'a',
    memoryBytes: MEMORY,
    ...writes,
    signal,
  });
  const scored: ScoredMove[] = [];
  let at = 'a';
  try {
    // Pages that it has yet to write for the first time are zeros to a plan, and none of those to the move after it.
    await untilWritten(lab, guest, signal);
    for (let run = 0; run < runs; run += 1) {
      for (const key of ways) {
        const way = WAYS[key];
        if (way === undefined) continue;
        await untilDirtied(lab, guest, SETTLE_MS, signal);
        const name = `${link} ${kind} ${key}`;
        const one = await planAndMove(lab, { name, to: otherHost(lab, at), ...way }, signal);
        if (one.report !== undefined) at = one.report.to;
        say(lineOf(one));
        scored.push(one);
        await untilQuiet(lab, signal);
      }
    }
  } finally {
    await stopGuest(lab, 'web1');
  }
  return scored;
}

async function planAndMove(
  lab: Lab,
  { name, to, mode, words }: { name: string; to: string; mode: Mode; words: readonly string[] },
  signal: AbortSignal,
): Promise<ScoredMove> {
  const asked = [...words, '--give-up-after', TIMEOUT];
  const output = await godwitPlan(lab, { guest: 'web1', to, mode, words: asked }, signal);
  const { prediction: found } = planAnswer.parse(JSON.parse(output));
  if (found === undefined) throw new Error(`${name} was not predicted: ${output.slice(0, 500)}`);
  return { name, prediction: found, ...(await watched(lab, { to, mode, words: asked }, signal)) };
}

/** A client speaks to the guest meanwhile. Where its connection breaks, what it waited for is not known. */
async function watched(
  lab: Lab,
  move: { to: string; mode: Mode; words: readonly string[] },
  signal: AbortSignal,
): Promise<Pick<ScoredMove, 'report' | 'clientGapMs'>> {
  const client = await openProbe(lab, 'web1', { signal });
  try {
    await client.mark();
    const report = await moved(lab, move, signal);
    const { connectionKept, clientGapMs } = await client.settle(SETTLED_MS, signal);
    return { report, ...(connectionKept ? { clientGapMs } : {}) };
  } finally {
    await client.stop();
  }
}

/** Undefined where it did not end in its time. */
async function moved(
  lab: Lab,
  move: { to: string; mode: Mode; words: readonly string[] },
  signal: AbortSignal,
): Promise<Report | undefined> {
  try {
    return (await godwitMigrate(lab, { guest: 'web1', ...move }, signal)).report;
  } catch (thrown) {
    signal.throwIfAborted();
    if (isUnmoved(thrown)) return undefined;
    throw thrown;
  }
}

function lineOf({ name, prediction: said, report, clientGapMs }: ScoredMove): string {
  const [sure, total] = [said.converges.probability.toFixed(2), said.totalMs];
  const predicted = `${formatDuration(total.low)}..${formatDuration(total.middle)}..${formatDuration(total.high)}, ${formatBytes(said.bytes.middle)}, ${said.rounds.middle} rounds, down ${said.downtimeMs.low}..${said.downtimeMs.middle}..${said.downtimeMs.high} ms, client gap ${said.clientGapMs.low}..${said.clientGapMs.middle}..${said.clientGapMs.high} ms, ends ${sure}`;
  if (report === undefined) return `${name}: predicted ${predicted}; did not end`;
  const { memoryMs: memory = 0 } = cameTo(report);
  const came = `${formatDuration(report.totalMs)} (memory ${formatDuration(memory)}, said ${formatDuration(said.memoryMs.middle)}), ${formatBytes(report.bytes ?? 0)}, ${report.rounds} rounds, down ${report.downtimeMs} ms, client gap ${clientGapMs?.toFixed(0) ?? '?'} ms`;
  return `${name}: predicted ${predicted}; came to ${came}`;
}
