/**
 * Runs the tests: `node tools/test.ts [unit|e2e|all|core|rest] [--lanes N] [PATTERN...]`.
 *
 * Without a word, and with `core`: all `*.test.ts` and the core of the `*.e2e.ts`, as tools/test-times.ts has it. `rest`:
 * of the other `*.e2e.ts` those that test what changed `--since` a commit (by default of the last day) and others in
 * turn, as far as they fit into `--minutes` (by default 14) by the times of tools/test-times.ts and, as this machine may be
 * slower, by the clock. What is left out is printed.
 *
 * `*.test.ts` are fast and run on all processors, one more at a time than there are, since some wait for much of
 * their time. `*.e2e.ts` start real QEMU guests: two files at a
 * time where there are two processors (`--lanes 1`: one), each in labs of its own, since a file waits
 * for much of its time; those that compare spans of time come last and have the machine to themselves.
 * With GODWIT_TEST_FAILURES=FILE each failed test is written there too, with its reason.
 * A PATTERN picks files whose path holds it or, where no path does, tests whose name matches it. One that means nothing is
 * refused before anything is run.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, globSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { compose } from 'node:stream';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { inspect, parseArgs } from 'node:util';
import { meantBy, type TestSelection } from './test-patterns.ts';
import { corePlan, mayBegin, restPlan, type Plan } from './test-plan.ts';
import { LANES } from './test-times.ts';

const kinds = {
  unit: { glob: 'test/**/*.test.ts', timeoutMs: 60_000 },
  e2e: { glob: 'test/**/*.e2e.ts', timeoutMs: 600_000 },
} as const;
type Kind = keyof typeof kinds;

/** Of a thousand files of tests that need the same code, each would read and compile it anew. */
const COMPILED = path.resolve('node_modules/.cache/godwit-tests');
/** They hold a gap that one host sees against what another host measures. */
const ALONE: ReadonlySet<string> = new Set([
  'test/e2e/probes.e2e.ts',
  // Their host is emulated: beside another file what it does there takes longer than the product gives it.
  'test/e2e/booted-stops.e2e.ts',
  'test/e2e/booted-systemd.e2e.ts',
]);
/** Ends the files that run, each of which takes its labs down. */
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** Each test that failed, and why. */
const failures: string[] = [];
/** Of one test, characters. */
const MAX_WORDS = 4000;

/** Says them again where a longer run gathers them: what came before its end may have been cut off. */
function gatherFailures(): void {
  const file = process.env['GODWIT_TEST_FAILURES'];
  if (file === undefined || failures.length === 0) return;
  appendFileSync(file, `${failures.map((text) => text.slice(0, MAX_WORDS)).join('\n\n')}\n`);
}

interface Round {
  readonly files: readonly string[];
  /** Files at a time. */
  readonly lanes: number;
}

/** Of one kind: which files are meant. */
interface KindRun {
  readonly kind: Kind;
  /** Default: all. */
  readonly files?: readonly string[];
  /** By the clock, ms: no end-to-end file begins that would not end before it. */
  readonly untilMs?: number;
}

const filesOf = ({ kind, files }: KindRun): readonly string[] =>
  files ?? globSync(kinds[kind].glob).toSorted();

/** Which files run beside which. */
function roundsOf({ kind }: KindRun, files: readonly string[], lanes: number): Round[] {
  const together = files.filter((file) => !ALONE.has(file));
  const alone = files.filter((file) => ALONE.has(file));
  const rounds: Round[] = [
    { files: together, lanes: kind === 'unit' ? availableParallelism() + 1 : lanes },
    { files: alone, lanes: 1 },
  ];
  return rounds.filter((round) => round.files.length > 0);
}

/** What a run has found so far. */
class RunResult {
  readonly counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  readonly tookMs = new Map<string, number>();
  /** What the clock left no time for. */
  readonly leftOut: { readonly file: string; readonly why: string }[] = [];
}

/** Runs one kind of test file; resolves once everything has been printed. */
async function runKind(
  wanted: KindRun,
  { files, names }: TestSelection,
  lanes: number,
): Promise<RunResult> {
  const found = new RunResult();
  const meant = new Set(files);
  const own = filesOf(wanted).filter((file) => meant.has(file));
  for (const round of roundsOf(wanted, own, lanes)) {
    if (wanted.kind === 'unit') {
      await runFiles(wanted.kind, round.files, round.lanes, names, found);
    } else {
      const waiting = [...round.files];
      const each = (): Promise<void> => runLane(waiting, names, wanted.untilMs, found);
      await Promise.all(Array.from({ length: round.lanes }, each));
    }
  }
  if (wanted.kind === 'e2e' && found.tookMs.size > 1) printTimes(found.tookMs);
  return found;
}

/** One end-to-end file after the other, as long as some wait; none begins that would not end in time. */
async function runLane(
  waiting: string[],
  names: readonly string[],
  untilMs: number | undefined,
  found: RunResult,
): Promise<void> {
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    const leftS = untilMs === undefined ? Infinity : (untilMs - Date.now()) / 1000;
    const took = [...found.tookMs].map(([name, ms]) => ({ name, seconds: ms / 1000 }));
    if (mayBegin(file, leftS, took)) {
      await runFiles('e2e', [file], 1, names, found);
    } else {
      const why = `${Math.round(leftS)} s were left when its turn came: those before it took longer than tools/test-times.ts says`;
      found.leftOut.push({ file, why });
    }
  }
}

async function runFiles(
  kind: Kind,
  files: readonly string[],
  lanes: number,
  names: readonly string[],
  { counts, tookMs }: RunResult,
): Promise<void> {
  const events = run({
    files: files.map((file) => path.resolve(file)),
    concurrency: lanes,
    timeout: kinds[kind].timeoutMs,
    signal: stop.signal,
    ...(kind === 'unit' ? { env: { ...process.env, NODE_COMPILE_CACHE: COMPILED } } : {}),
    ...(names.length > 0 ? { testNamePatterns: [...names] } : {}),
  });
  // A file in which no name matched reports itself as one passed test: that is not a test.
  events.on('test:pass', (event) => {
    if (names.length > 0 && event.name === event.file) counts.passed -= 1;
  });
  events.on('test:summary', (summary) => {
    if (summary.file !== undefined) {
      tookMs.set(path.relative('.', summary.file), summary.duration_ms);
      return;
    }
    counts.passed += summary.counts.passed;
    counts.failed += summary.counts.tests - summary.counts.passed - summary.counts.skipped;
    counts.skipped += summary.counts.skipped;
    if (!summary.success && counts.failed === 0) counts.failed = 1;
  });
  events.on('test:fail', ({ name, file = '', details: { error } }) => {
    // A suite fails because something in it has.
    if ('failureType' in error && error.failureType === 'subtestsFailed') return;
    failures.push(`✖ ${name} (${path.relative('.', file)})\n${inspect(error.cause ?? error)}`);
  });
  // What a file says comes in one piece, however many run at once: node:test sees to it within a run, the text of a
  // run of one file waits for its end.
  let text = '';
  for await (const piece of compose(events, new spec())) {
    if (files.length > 1) process.stdout.write(String(piece));
    else text += String(piece);
  }
  process.stdout.write(text);
}

/** The longest first: tools/test-times.ts is written from it. */
function printTimes(tookMs: ReadonlyMap<string, number>): void {
  for (const [file, ms] of [...tookMs].toSorted(([, one], [, other]) => other - one)) {
    console.log(`${(ms / 1000).toFixed(0).padStart(5)} s  ${file}`);
  }
}

function lanesOf(text: string | undefined): number {
  if (text === undefined) return Math.min(LANES, availableParallelism());
  const lanes = Number(text);
  if (Number.isInteger(lanes) && lanes >= 1 && lanes <= LANES) return lanes;
  throw new Error(`--lanes ${text}: 1 to ${LANES} are possible`);
}

/** What `rest` means now: what changed, and whose turn it is, is in git. */
function restNow(minutes: string, since: string | undefined, lanes: number): Plan {
  const git = (...words: string[]): string =>
    execFileSync('git', words, { encoding: 'utf8', maxBuffer: 64 * 1024 ** 2 }).trim();
  const budgetS = Number(minutes) * 60 * lanes;
  if (!(budgetS > 0)) throw new Error(`--minutes ${minutes}: a number above 0 is possible`);
  const base = since ?? git('rev-list', '-1', '--before=1 day ago', 'HEAD');
  // Where there is no older commit everything is new.
  const changed = base === '' ? git('ls-files') : git('diff', '--name-only', base, 'HEAD');
  const turn = Number(git('rev-list', '--count', 'HEAD'));
  return restPlan({ budgetS, changed: changed.split('\n'), turn });
}

interface Values {
  readonly minutes: string;
  readonly since?: string | undefined;
}

/** What a first word, or none, asks for. */
function wantedOf(
  word: string,
  hasPatterns: boolean,
  values: Values,
  lanes: number,
): { wanted: KindRun[]; plan?: Plan } {
  if (word === 'unit' || word === 'e2e') return { wanted: [{ kind: word }] };
  if (word === 'all' || hasPatterns) return { wanted: [{ kind: 'unit' }, { kind: 'e2e' }] };
  const plan = word === 'rest' ? restNow(values.minutes, values.since, lanes) : corePlan();
  const { files } = plan;
  const untilMs = Date.now() + Number(values.minutes) * 60_000;
  return word === 'rest'
    ? { wanted: [{ kind: 'e2e', files, untilMs }], plan }
    : { wanted: [{ kind: 'unit' }, { kind: 'e2e', files }], plan };
}

const WORDS: ReadonlySet<string> = new Set(['unit', 'e2e', 'all', 'core', 'rest']);

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      lanes: { type: 'string' },
      minutes: { type: 'string', default: '14' },
      since: { type: 'string' },
    },
  });
  const lanes = lanesOf(values.lanes);
  const [first = 'core'] = positionals;
  const word = WORDS.has(first) ? first : 'core';
  const patterns = WORDS.has(first) ? positionals.slice(1) : positionals;
  const { wanted, plan } = wantedOf(word, patterns.length > 0, values, lanes);

  const meant = meantBy(patterns, wanted.flatMap(filesOf), (file) => readFileSync(file, 'utf8'));
  if ('unknown' in meant) {
    const named = meant.unknown.map((pattern) => `"${pattern}"`).join(', ');
    console.error(`${named} is in no path and in no name of a test: nothing was run`);
    return 2;
  }
  const totals: Counts = { passed: 0, failed: 0, skipped: 0 };
  const leftOut = [...(plan?.leftOut ?? [])];
  for (const each of wanted) {
    const { counts, leftOut: late } = await runKind(each, meant, lanes);
    leftOut.push(...late);
    totals.passed += counts.passed;
    totals.failed += counts.failed;
    totals.skipped += counts.skipped;
  }
  gatherFailures();
  for (const { file, why } of leftOut) console.log(`left out: ${file}: ${why}`);
  if (patterns.length > 0 && totals.passed + totals.failed === 0) {
    console.error(`no test has "${patterns.join(' ')}" in its path or name`);
    return 2;
  }
  const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : '';
  console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`);
  return totals.failed === 0 ? 0 : 1;
}

process.exitCode = await main();
