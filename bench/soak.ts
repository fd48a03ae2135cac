import { surveyGround } from '../demo/obstacles.ts';
import { systemContext } from '../src/cli/system.ts';
import { systemClock } from '../src/clock.ts';
import { startGuest } from '../lab/guest/start.ts';
import {
  readGuestStats,
  verifyGuest,
  type GuestStats,
  type GuestVerification,
} from '../lab/guest/talk.ts';
import { openProbe, type ClientView } from '../lab/probe/probe.ts';
import type { LabGuest } from '../lab/guest/registry.ts';
import type { Lab } from '../lab/state.ts';
import { runningOn } from '../lab/witness/qemus.ts';
import type { Mode } from '../src/protocol/public/migration.ts';
import { median, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { godwitMigrate } from './godwit.ts';
import { otherHost, untilDirtied, untilQuiet, withLab } from './lab.ts';
import { leftBehind, type HostTally } from './tally-compare.ts';
import { takeTally } from './tally.ts';

const GUEST = 'web1';
const MIB = 1024 ** 2;
const DEFAULT_RUNS = 60;
const MODES: readonly Mode[] = ['precopy', 'postcopy', 'hybrid'];
/** Hybrid: a round of pre-copy, then post-copy, unless that one was enough. */
const WORDS: Partial<Record<Mode, readonly string[]>> = {
  hybrid: ['--hybrid-rounds', '1', '--max-downtime', '5ms'],
};
const ANSWERS_MS = 30_000;
const TIDY_MS = 30_000;

export const soak: Bench = {
  name: 'soak',
  summary: 'many moves in a row of one guest under load: what fails, and what is left over',
  run: (options) => withLab(options, (lab) => measure(lab, options)),
};

export interface MoveResult {
  readonly mode: Mode;
  readonly totalMs: number;
  readonly clientGapMs: number;
}

async function measure(lab: Lab, options: BenchOptions): Promise<Measure[]> {
  const { signal, say } = options;
  const runs = options.runs ?? DEFAULT_RUNS;
  const modes = await possibleModes(say);
  const guest = await startGuest(lab, {
    name: GUEST,
    host: 'a',
    workingSetBytes: 128 * MIB,
    dirtyBytesPerSecond: 20 * MIB,
    signal,
  });
  const course: Course = { lab, guest, first: await askGuest(lab, GUEST, signal), signal };
  return toAndFro(
    lab,
    {
      guest: GUEST,
      modes,
      runs,
      take: takeTally,
      moveOnce: (mode, to) => moveOnce(course, mode, to),
    },
    options,
  );
}

interface Course {
  readonly lab: Lab;
  readonly guest: LabGuest;
  readonly first: GuestWord;
  readonly signal: AbortSignal;
}

interface Rounds {
  readonly guest: string;
  readonly modes: readonly Mode[];
  readonly runs: number;
  /** Counts what there is on each host. */
  readonly take: (lab: Lab) => Promise<HostTally[]>;
  readonly moveOnce: (mode: Mode, to: string) => Promise<MoveResult>;
}

/** Moves a guest from host to host, by each mode in turn, and looks what failed and what is left over. */
export async function toAndFro(
  lab: Lab,
  { guest, modes, runs, take, moveOnce: moveTo }: Rounds,
  { signal, say }: BenchOptions,
): Promise<Measure[]> {
  // Once there and back first: it fills what hosts keep on purpose, such as the checksums of kernels, and the guest has
  // beside it what one has that came by post-copy or hybrid.
  for (const to of ['b', 'a']) await moveTo(modes.at(-1) ?? 'precopy', to);
  await untilQuiet(lab, signal);
  const before = await take(lab);
  const moved: MoveResult[] = [];
  const failures: string[] = [];
  let host = 'a';
  // An odd number would leave the guest, and what belongs to it, on the other host.
  for (let run = 0; run < runs + (runs % 2); run += 1) {
    const mode = modes[run % modes.length] ?? 'precopy';
    const to = otherHost(lab, host);
    const number = String(run + 1).padStart(3);
    try {
      const result = await moveTo(mode, to);
      moved.push(result);
      say(`${number}  ${describe(result, to)}`);
    } catch (error) {
      signal.throwIfAborted();
      failures.push(`move ${run + 1}, ${mode} to ${to}: ${String(error)}`);
      say(`${number}  FAILED ${failures.at(-1) ?? ''}`);
    }
    const hosts = await runningOn(lab, guest);
    // Nothing can be said of moves after one that lost the guest, or doubled it.
    if (hosts.length !== 1)
      throw new Error(`the guest runs on ${hosts.join(' and ') || 'no host'}`);
    host = hosts[0] ?? host;
  }
  if (host !== 'a') {
    say('one move more, so that everything can be counted where it began');
    await moveTo('precopy', 'a').catch((error: unknown) => failures.push(String(error)));
  }
  const left = await tidied(lab, { before, take }, signal);
  for (const line of left) say(`left over: ${line}`);
  return measures(moved, failures.length, left.length);
}

/** What a guest says of itself, which no move may change. */
export interface GuestWord {
  readonly memory: GuestVerification;
  readonly stats: GuestStats;
}

export async function askGuest(lab: Lab, guest: string, signal: AbortSignal): Promise<GuestWord> {
  const memory = await verifyGuest(lab, guest, { signal });
  return { memory, stats: await readGuestStats(lab, guest, { signal }) };
}

/** Those that this machine permits. */
export async function possibleModes(say: (text: string) => void): Promise<readonly Mode[]> {
  const { reasons } = await surveyGround(systemContext());
  for (const mode of MODES) {
    if (reasons[mode] !== undefined) say(`${mode} is left out: ${reasons[mode]}`);
  }
  return MODES.filter((mode) => reasons[mode] === undefined);
}

/** Moves the guest and looks at it from all sides. Rejects with what is wrong. */
async function moveOnce(course: Course, mode: Mode, to: string): Promise<MoveResult> {
  const { lab, guest, first, signal } = course;
  // A connection for each move: its window shrinks with every loss, until one that is longer than it would stall.
  const client = await openProbe(lab, GUEST, { signal });
  try {
    await untilDirtied(lab, guest, 500, signal);
    await client.mark();
    const words = WORDS[mode] ?? [];
    const { report } = await godwitMigrate(lab, { guest: GUEST, to, mode, words }, signal);
    const seen = await client.settle(ANSWERS_MS, signal);
    const now = await askGuest(lab, GUEST, signal);
    const problems = [...connectionProblems(seen), ...wordProblems(first, now)];
    const hosts = await runningOn(lab, GUEST);
    if (hosts.length !== 1 || hosts[0] !== to) problems.push(`it runs on ${hosts.join(' and ')}`);
    if (problems.length > 0) throw new Error(problems.join('; '));
    return { mode, totalMs: report.totalMs, clientGapMs: seen.clientGapMs };
  } finally {
    await client.stop();
  }
}

export function connectionProblems({
  connectionKept,
  reason,
  lost,
  doubled,
}: ClientView): string[] {
  if (connectionKept) return [];
  return [`the connection: ${reason ?? `${lost} answers lost, ${doubled} doubled`}`];
}

export function wordProblems(first: GuestWord, now: GuestWord): string[] {
  const problems: string[] = [];
  const { badChunks, badDiskChunks } = now.memory;
  if (badDiskChunks > 0) problems.push(`${badDiskChunks} places of its disks differ`);
  else if (!now.memory.ok) problems.push(`memory differs (${badChunks} rewritten parts)`);
  if (now.memory.hash !== first.memory.hash) problems.push('the checksum is another one');
  if (now.stats.bootId !== first.stats.bootId) problems.push('the guest was booted again');
  return problems;
}

/** What is there more than before, once everything that is about to end has ended. */
async function tidied(
  lab: Lab,
  { before, take }: { before: readonly HostTally[]; take: (lab: Lab) => Promise<HostTally[]> },
  signal: AbortSignal,
): Promise<string[]> {
  await untilQuiet(lab, signal);
  const start = systemClock.monotonicMs();
  for (;;) {
    const left = leftBehind(before, await take(lab));
    if (left.length === 0 || systemClock.monotonicMs() - start > TIDY_MS) return left;
    await systemClock.sleep(500, signal);
  }
}

function describe({ mode, totalMs, clientGapMs }: MoveResult, to: string): string {
  return `${mode.padEnd(9)} to ${to}  ${totalMs.toFixed(0)} ms, client gap ${clientGapMs.toFixed(0)} ms`;
}

/** What failed and what was left must be nothing; the rest is reported. */
function measures(moved: readonly MoveResult[], failed: number, leftOver: number): Measure[] {
  const runs = moved.length + failed;
  const zero = { atMost: 0 };
  return [
    { name: 'moves that failed, or hurt the guest', value: failed, unit: '', runs, target: zero },
    { name: 'things left over', value: leftOver, unit: '', runs, target: zero },
    ...MODES.flatMap((mode): Measure[] => {
      const own = moved.filter((each) => each.mode === mode);
      if (own.length === 0) return [];
      const of = (value: (each: MoveResult) => number): number => median(own.map(value));
      return [
        {
          name: `total time, ${mode}`,
          value: of(({ totalMs }) => totalMs),
          unit: 'ms',
          runs: own.length,
        },
        {
          name: `client gap, ${mode}`,
          value: of(({ clientGapMs }) => clientGapMs),
          unit: 'ms',
          runs: own.length,
        },
      ];
    }),
  ];
}
