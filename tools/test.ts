/**
 * Runs the tests: `node tools/test.ts [unit|e2e|all] [PATTERN...]`.
 *
 * `*.test.ts` are fast and run in parallel; `*.e2e.ts` start real QEMU guests and run one file at
 * a time, so that they do not take each other's processor. A PATTERN picks files whose path holds
 * it or, where no path does, tests whose name matches it.
 */
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { compose } from 'node:stream';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const kinds = {
  unit: { glob: 'test/**/*.test.ts', concurrency: availableParallelism(), timeoutMs: 60_000 },
  e2e: { glob: 'test/**/*.e2e.ts', concurrency: 1, timeoutMs: 600_000 },
} as const;
type Kind = keyof typeof kinds;

type Counts = { passed: number; failed: number; skipped: number };

/** Runs one kind of test file; resolves to its counts once everything has been printed. */
async function runKind(kind: Kind, patterns: string[]): Promise<Counts> {
  const { glob, concurrency, timeoutMs } = kinds[kind];
  const all = globSync(glob).toSorted();
  const byPath = all.filter((file) => patterns.some((pattern) => file.includes(pattern)));
  const byName = patterns.length > 0 && byPath.length === 0;
  const files = patterns.length === 0 || byName ? all : byPath;
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  if (files.length === 0) return counts;

  const events = run({
    files: files.map((file) => path.resolve(file)),
    concurrency,
    timeout: timeoutMs,
    ...(byName ? { testNamePatterns: patterns } : {}),
  });
  // A file in which no name matched reports itself as one passed test: that is not a test.
  events.on('test:pass', (event) => {
    if (byName && event.name === event.file) counts.passed -= 1;
  });
  events.on('test:summary', (summary) => {
    if (summary.file !== undefined) return;
    counts.passed += summary.counts.passed;
    counts.failed += summary.counts.tests - summary.counts.passed - summary.counts.skipped;
    counts.skipped += summary.counts.skipped;
    if (!summary.success && counts.failed === 0) counts.failed = 1;
  });
  for await (const text of compose(events, new spec())) process.stdout.write(String(text));
  return counts;
}

async function main(argv: string[]): Promise<number> {
  const [first = 'all', ...rest] = argv;
  const named = first === 'all' || Object.hasOwn(kinds, first);
  const chosen: Kind[] = first === 'unit' || first === 'e2e' ? [first] : ['unit', 'e2e'];
  const patterns = named ? rest : argv;

  const totals: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const kind of chosen) {
    const counts = await runKind(kind, patterns);
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

process.exitCode = await main(process.argv.slice(2));
