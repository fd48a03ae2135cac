import { systemClock } from '../src/clock.ts';
import { runCommand } from '../lab/command.ts';
import { inHost } from '../lab/entry.ts';
import { startGuest } from '../lab/guest/start.ts';
import { pathBridge, portNames } from '../lab/network-plan.ts';
import { openProbe } from '../lab/probe/probe.ts';
import type { Lab } from '../lab/state.ts';
import type { Mode, Report } from '../src/protocol/public/migration.ts';
import { onlyOf, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { godwitMigrate } from './godwit.ts';
import { otherHost, untilQuiet, witnessedQemu, withLab } from './lab.ts';
import { Monitor, type QmpEvent } from '../lab/witness/monitor.ts';
import { askGuest, connectionProblems, wordProblems, type GuestWord } from './soak.ts';
import { stream } from './stream-times.ts';
import { forgetAll } from './wire-move.ts';
import { seeded } from './wire-seeded.ts';

/** One migration by each mode whose only link is cut again and again, each time for 1 to 30 s, at any moment. */

const GUEST = 'web1';
const MIB = 1024 ** 2;
const DEFAULT_CUTS = 20;
const CUT_MS = { least: 1000, most: 30_000 };
/** Between two cuts. */
const OPEN_MS = { least: 1500, most: 4500 };
const SEED = 20_261_121;
/** Random, so that it takes all of its time at this rate, of which 20 cuts leave it a minute on average. */
const WORKING_SET_BYTES = 144 * MIB;
const BYTES_PER_SECOND = 1.25 * MIB;
const MOVE_MS = 25 * 60_000;
const ANSWERS_MS = 60_000;
const MODES: readonly Mode[] = ['precopy', 'postcopy'];
/** What QEMU says of a stream that nothing befell. */
const UNHARMED: ReadonlySet<unknown> = new Set([
  'setup',
  'active',
  'pre-switchover',
  'device',
  'postcopy-active',
  'completed',
]);

export const wireCuts: Bench = {
  name: 'wire-cuts',
  summary: 'a migration over the wire whose link is cut --runs times for 1 to 30 s [--only MODE]',
  run: (options) => {
    const only = onlyOf(options, MODES) ?? MODES;
    return withLab(options, (lab) => measure(lab, only, options));
  },
};

async function measure(
  lab: Lab,
  only: readonly string[],
  options: BenchOptions,
): Promise<Measure[]> {
  const { signal } = options;
  const request = { memoryBytes: 256 * MIB, workingSetBytes: WORKING_SET_BYTES };
  await startGuest(lab, {
    name: GUEST,
    host: 'a',
    ...request,
    dirtyBytesPerSecond: MIB / 2,
    signal,
  });
  const first = await askGuest(lab, GUEST, signal);
  const all: Measure[] = [];
  let from = 'a';
  for (const mode of MODES.filter((each) => only.includes(each))) {
    all.push(...(await throughCuts({ lab, first, from, mode }, options)));
    from = otherHost(lab, from);
  }
  return all;
}

interface Course {
  readonly lab: Lab;
  readonly first: GuestWord;
  readonly from: string;
  readonly mode: Mode;
}

async function throughCuts(course: Course, options: BenchOptions): Promise<Measure[]> {
  const { lab, first, from, mode } = course;
  const { signal, runs = DEFAULT_CUTS } = options;
  await untilQuiet(lab, signal);
  // Nothing may be known there, or there would be little to send.
  await forgetAll(lab);
  const client = await openProbe(lab, GUEST, { signal });
  const { witness } = await witnessedQemu(lab, GUEST, from);
  const source = await Monitor.open(witness, signal);
  try {
    const { report, cuts } = await moveThroughCuts(course, source, { ...options, runs });
    const problems = [
      ...connectionProblems(await client.settle(ANSWERS_MS, signal)),
      ...wordProblems(first, await askGuest(lab, GUEST, signal)),
    ];
    for (const problem of problems) options.say(`${mode}: ${problem}`);
    const seen = source.events.filter(({ event }) => event === 'MIGRATION');
    const harmed = seen.filter(({ data }) => !UNHARMED.has(data['status']));
    return measures(mode, { report, cuts, problems, harmed }, runs);
  } finally {
    source.close();
    await client.stop();
  }
}

/** Cuts the link from when memory flows until all cuts were made or the migration is over. */
async function moveThroughCuts(
  { lab, from, mode }: Course,
  source: Monitor,
  { signal, say, runs }: BenchOptions & { readonly runs: number },
): Promise<{ report: Report; cuts: readonly number[] }> {
  const over = new AbortController();
  const words = ['--path', 'wire', '--give-up-after', `${MOVE_MS / 60_000}m`];
  const capped = ['--max-bandwidth', `${BYTES_PER_SECOND}B/s`];
  const to = otherHost(lab, from);
  const asked = { guest: GUEST, to, mode, words: [...words, ...capped], deadlineMs: MOVE_MS };
  const moved = godwitMigrate(lab, asked, signal).finally(() => over.abort());
  const flows = stream(mode === 'postcopy' ? 'postcopy-active' : 'active');
  const cuts: number[] = [];
  const random = seeded(SEED);
  const between = ({ least, most }: typeof CUT_MS): number => least + random() * (most - least);
  const ended = AbortSignal.any([over.signal, signal]);
  const cutting = async (): Promise<void> => {
    await source.until('memory to flow', flows, 60_000, ended);
    while (cuts.length < runs) {
      await systemClock.sleep(between(OPEN_MS), ended);
      const ms = between(CUT_MS);
      await swallow(lab, to, true);
      try {
        await systemClock.sleep(ms, ended);
        cuts.push(ms);
        say(`${mode}: cut ${cuts.length}, ${(ms / 1000).toFixed(1)} s`);
      } finally {
        await swallow(lab, to, false);
      }
    }
  };
  const cut = cutting().catch(() => undefined);
  try {
    const { report } = await moved;
    return { report, cuts };
  } finally {
    await cut;
  }
}

/** The destination's link at the switch, which neither host sees. */
async function swallow(lab: Lab, host: string, all: boolean): Promise<void> {
  const change = all ? ['nomaster'] : ['master', pathBridge(0)];
  const argv = ['ip', 'link', 'set', portNames(host, 0).port, ...change];
  await runCommand(inHost(lab, 'switch', argv));
}

interface Outcome {
  readonly report: Report;
  readonly cuts: readonly number[];
  readonly problems: readonly string[];
  /** What QEMU said of its stream that it should not have to. */
  readonly harmed: readonly QmpEvent[];
}

function measures(
  mode: Mode,
  { report, cuts, problems, harmed }: Outcome,
  wanted: number,
): Measure[] {
  const none = { atMost: 0 };
  const reported = (name: string, value: number, unit = ''): Measure => {
    return { name: `${mode}: ${name}`, value, unit, runs: 1 };
  };
  return [
    { ...reported('cuts while memory moved', cuts.length), target: { atLeast: wanted } },
    { ...reported('states of QEMU but active', harmed.length), target: none },
    { ...reported('harm to the guest or its connection', problems.length), target: none },
    { ...reported('sessions', report.wire?.sessions ?? 0), target: { atMost: 1 } },
    reported('cut in all', cuts.reduce((sum, ms) => sum + ms, 0) / 1000, 's'),
    reported('longest cut that the links saw', (report.wire?.longestCutMs ?? 0) / 1000, 's'),
    reported('total', report.totalMs / 1000, 's'),
  ];
}
