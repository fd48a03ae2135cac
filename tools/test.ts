/**
 * Runs the tests: `node tools/test.ts [unit|e2e|all] [--lanes N] [PATTERN...]`.
 *
 * `*.test.ts` are fast and run on all processors. `*.e2e.ts` start real QEMU guests: two files at a
 * time where there are two processors (`--lanes 1`: one), each in labs of its own, since a file waits
 * for much of its time; those that compare spans of time come last and have the machine to themselves.
 * A PATTERN picks files whose path holds it or, where no path does, tests whose name matches it.
 */
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { compose } from 'node:stream';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { parseArgs } from 'node:util';

const kinds = {
  unit: { glob: 'test/**/*.test.ts', timeoutMs: 60_000 },
  e2e: { glob: 'test/**/*.e2e.ts', timeoutMs: 600_000 },
} as const;
type Kind = keyof typeof kinds;

/** More than two guests' labs at once keep each other from their processors. */
const MOST_LANES = 2;
/** They hold a gap that one host sees against what another host measures. */
const ALONE: ReadonlySet<string> = new Set(['test/e2e/vantage.e2e.ts']);
/** Of the files that took longest, so many are named at the end. */
const LONGEST = 10;

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

interface Round {
  readonly files: readonly string[];
  /** Files at a time. */
  readonly lanes: number;
}

/** Which files run beside which, and which patterns are names of tests. */
function roundsOf(kind: Kind, patterns: readonly string[], lanes: number) {
  const all = globSync(kinds[kind].glob).toSorted();
  const byPath = all.filter((file) => patterns.some((pattern) => file.includes(pattern)));
  const byName = patterns.length > 0 && byPath.length === 0;
  const files = patterns.length === 0 || byName ? all : byPath;
  const together = files.filter((file) => !ALONE.has(file));
  const alone = files.filter((file) => ALONE.has(file));
  const rounds: Round[] = [
    { files: together, lanes: kind === 'unit' ? availableParallelism() : lanes },
    { files: alone, lanes: 1 },
  ];
  return {
    rounds: rounds.filter((round) => round.files.length > 0),
    names: byName ? patterns : [],
  };
}

/** Runs one kind of test file; resolves to its counts once everything has been printed. */
async function runKind(kind: Kind, patterns: readonly string[], lanes: number): Promise<Counts> {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  const tookMs = new Map<string, number>();
  const { rounds, names } = roundsOf(kind, patterns, lanes);
  for (const round of rounds) await runRound(round, kinds[kind].timeoutMs, names, counts, tookMs);
  if (kind === 'e2e' && tookMs.size > 1) tellLongest(tookMs);
  return counts;
}

async function runRound(
  { files, lanes }: Round,
  timeoutMs: number,
  names: readonly string[],
  counts: Counts,
  tookMs: Map<string, number>,
): Promise<void> {
  // What a file says comes in one piece and in the files' order, however many run at once.
  const events = run({
    files: files.map((file) => path.resolve(file)),
    concurrency: lanes,
    timeout: timeoutMs,
    signal: stop.signal,
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
  for await (const text of compose(events, new spec())) process.stdout.write(String(text));
}

function tellLongest(tookMs: ReadonlyMap<string, number>): void {
  const longest = [...tookMs].toSorted(([, one], [, other]) => other - one).slice(0, LONGEST);
  for (const [file, ms] of longest) {
    console.log(`${(ms / 1000).toFixed(0).padStart(5)} s  ${file}`);
  }
}

function lanesOf(text: string | undefined): number {
  if (text === undefined) return Math.min(MOST_LANES, availableParallelism());
  const lanes = Number(text);
  if (Number.isInteger(lanes) && lanes >= 1 && lanes <= MOST_LANES) return lanes;
  throw new Error(`--lanes ${text}: 1 to ${MOST_LANES} are possible`);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { lanes: { type: 'string' } },
  });
  const lanes = lanesOf(values.lanes);
  const [first = 'all', ...rest] = positionals;
  const named = first === 'all' || Object.hasOwn(kinds, first);
  const chosen: Kind[] = first === 'unit' || first === 'e2e' ? [first] : ['unit', 'e2e'];
  const patterns = named ? rest : positionals;

  const totals: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const kind of chosen) {
    const counts = await runKind(kind, patterns, lanes);
    totals.passed += counts.passed;
    totals.failed += counts.failed;
    totals.skipped += counts.skipped;
  }
  if (patterns.length > 0 && totals.passed + totals.failed === 0) {
    console.error(`no test has "${patterns.join(' ')}" in its path or name`);
    return 2;
  }
  const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : '';
  console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`);
  return totals.failed === 0 ? 0 : 1;
}

process.exitCode = await main();
