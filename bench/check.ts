import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../src/clock.ts';
import { MS_PER_TICK, readStat } from '../src/system/processes/process.ts';
import { agentsOf } from '../lab/agents.ts';
import { runCommand } from '../lab/command.ts';
import { startGuest } from '../lab/guest/start.ts';
import { readGuestStats } from '../lab/guest/talk.ts';
import type { Lab } from '../lab/state.ts';
import { median, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { withLab } from './lab.ts';

const PROGRAM = path.resolve(import.meta.dirname, '..', 'godwit');
const GUEST = 'web1';
const MIB = 1024 ** 2;
/** More than an emulated guest can do: it never rests, so that what is taken from it shows. */
const FLAT_OUT = 4096 * MIB;
const DEFAULT_RUNS = 9;
const COMMAND_MS = 60_000;
/** Longer than a plan takes where its aim is met. */
const WINDOW_MS = 8000;
const [MAX_CHECK_MS, MAX_PLAN_MS, MIN_WORK] = [2000, 8000, 0.99];

export const check: Bench = {
  name: 'check',
  summary:
    'how long `godwit migrate --dry-run` takes with and without a prediction, and what sampling leaves the guest of its work',
  run: (options) => withLab(options, (lab) => measure(lab, options)),
};

/** What one pair of windows came to. */
export interface Pair {
  readonly checkMs: number;
  readonly planMs: number;
  /** What the plan took of processors at the guest's host and at the other: the agent, and the processes that it started. */
  readonly hereMs: number;
  readonly thereMs: number;
  /** What the guest dirtied in a second, bytes: left alone, and while it was sampled. */
  readonly alone: number;
  readonly sampled: number;
}

async function measure(lab: Lab, options: BenchOptions): Promise<Measure[]> {
  const { signal, say, runs = DEFAULT_RUNS } = options;
  const memory = { memoryBytes: 256 * MIB, workingSetBytes: 64 * MIB };
  const load = { dirtyBytesPerSecond: FLAT_OUT };
  await startGuest(lab, { name: GUEST, host: 'a', ...memory, ...load, signal });
  const pairs: Pair[] = [];
  // The first one finds caches empty that a host fills once.
  for (let run = -1; run < runs; run += 1) {
    const checkMs = await timed(lab, 'any', signal);
    const idle = (): Promise<number> => workIn(lab, signal, () => Promise.resolve(0)).then(workOf);
    const first = run % 2 === 0 ? await idle() : undefined;
    const before = await processorsOf(lab);
    const busy = await workIn(lab, signal, () => timed(lab, 'b', signal));
    const after = await processorsOf(lab);
    const pair = {
      checkMs,
      planMs: busy.tookMs,
      hereMs: after.a - before.a,
      thereMs: after.b - before.b,
      alone: first ?? (await idle()),
      sampled: busy.bytesPerS,
    };
    say(`${lineOf(pair)}${run < 0 ? '  (warming up)' : ''}`);
    if (run >= 0) pairs.push(pair);
  }
  return measures(pairs);
}

const workOf = ({ bytesPerS }: { readonly bytesPerS: number }): number => bytesPerS;

/** A preview, as a user types it: `any` has the checks alone, `b` has a prediction too. */
async function timed(lab: Lab, to: 'any' | 'b', signal: AbortSignal): Promise<number> {
  const begun = systemClock.monotonicMs();
  const argv = [PROGRAM, 'migrate', GUEST, '--to', to, '--dry-run', '--lab', lab.name, '--json'];
  await runCommand(argv, { deadlineMs: COMMAND_MS, signal });
  return systemClock.monotonicMs() - begun;
}

/** What the guest does, by its own clock, in a window in which `work` is done. */
async function workIn(
  lab: Lab,
  signal: AbortSignal,
  work: () => Promise<number>,
): Promise<{ readonly bytesPerS: number; readonly tookMs: number }> {
  const before = await readGuestStats(lab, GUEST, { signal });
  const [tookMs] = await Promise.all([work(), systemClock.sleep(WINDOW_MS, signal)]);
  const after = await readGuestStats(lab, GUEST, { signal });
  const ms = after.uptimeMs - before.uptimeMs;
  return { bytesPerS: ((after.dirtiedBytes - before.dirtiedBytes) / ms) * 1000, tookMs };
}

/** What each host's agent has had of processors, with the processes that it started, ms. */
async function processorsOf(lab: Lab): Promise<{ readonly a: number; readonly b: number }> {
  const of = async (host: string): Promise<number> => {
    const [agent] = await agentsOf(lab, host);
    if (agent === undefined) throw new Error(`host ${host} has no agent`);
    const { pid } = agent;
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
    const all = [pid, ...children.split(' ').map(Number)].filter((each) => each > 0);
    return (await Promise.all(all.map(ownMs))).reduce((sum, ms) => sum + ms, 0);
  };
  return { a: await of('a'), b: await of('b') };
}

/** What a process has had, with those of its own that have ended; 0 where it has ended itself, which its parent's has. */
async function ownMs(pid: number): Promise<number> {
  const stat = readStat(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''));
  return stat === undefined ? 0 : (stat.usedTicks + stat.childrenTicks) * MS_PER_TICK;
}

function lineOf({ checkMs, planMs, hereMs, thereMs, alone, sampled }: Pair): string {
  const ms = (value: number): string => `${value.toFixed(0).padStart(5)} ms`;
  const rate = (value: number): string => `${(value / MIB).toFixed(1)} MiB/s`;
  return `check ${ms(checkMs)}, plan ${ms(planMs)} (processors ${ms(hereMs)} here, ${ms(thereMs)} there), alone ${rate(alone)}, sampled ${rate(sampled)} (${(sampled / alone).toFixed(3)}x)`;
}

/** The medians, each held to its aim, and the worst. */
export function measures(pairs: readonly Pair[]): Measure[] {
  const runs = pairs.length;
  const of = (value: (pair: Pair) => number): number[] => pairs.map(value);
  const work = of(({ alone, sampled }) => sampled / alone);
  const checks = of(({ checkMs }) => checkMs);
  const plans = of(({ planMs }) => planMs);
  return [
    {
      name: '`godwit migrate --to any --dry-run`',
      value: median(checks),
      unit: 'ms',
      runs,
      target: { atMost: MAX_CHECK_MS },
    },
    {
      name: '`godwit migrate --dry-run`',
      value: median(plans),
      unit: 'ms',
      runs,
      target: { atMost: MAX_PLAN_MS },
    },
    {
      name: 'work of the guest, sampled / alone',
      value: median(work),
      unit: 'x',
      runs,
      target: { atLeast: MIN_WORK },
    },
    {
      name: 'processor time of a plan, the guest’s host',
      value: median(of(({ hereMs }) => hereMs)),
      unit: 'ms',
      runs,
    },
    {
      name: 'processor time of a plan, the other host',
      value: median(of(({ thereMs }) => thereMs)),
      unit: 'ms',
      runs,
    },
    { name: 'slowest check', value: Math.max(...checks), unit: 'ms', runs },
    { name: 'slowest plan', value: Math.max(...plans), unit: 'ms', runs },
    { name: 'least work, sampled / alone', value: Math.min(...work), unit: 'x', runs },
    { name: 'most work, sampled / alone', value: Math.max(...work), unit: 'x', runs },
  ];
}
