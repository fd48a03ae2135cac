import os from 'node:os';
import { parseArgs } from 'node:util';
import { judge, table } from './contract.ts';
import type { Bench, BenchWords } from './contract.ts';
import { disks } from './disks.ts';
import { footprint } from './footprint.ts';
import { gap } from './gap.ts';
import { overhead } from './overhead.ts';
import { soak } from './soak.ts';
import { soakDisks } from './soak-disks.ts';
import { start } from './start.ts';
import { wire } from './wire.ts';
import { wireCodec } from './wire-codec.ts';
import { wireLinks } from './wire-links.ts';
import { wireMovers } from './wire-movers.ts';
import { wireStream } from './wire-stream.ts';

/** `npm run bench` lists; `npm run bench -- NAME [--runs N] [--json]` runs one. */
const BENCHES: readonly Bench[] = [
  overhead,
  start,
  footprint,
  soak,
  disks,
  gap,
  soakDisks,
  wire,
  wireStream,
  wireCodec,
  wireLinks,
  wireMovers,
];

function list(): void {
  console.log('npm run bench -- NAME [--runs N] [--json]\n');
  for (const { name, summary } of BENCHES) console.log(`  ${name.padEnd(12)}${summary}`);
}

async function runBench(
  bench: Bench,
  { runs, json, words }: { runs: number | undefined; json: boolean; words: BenchWords },
): Promise<boolean> {
  const stop = new AbortController();
  // Each time it comes, since npm passes on a Ctrl-C that the terminal has sent already: the lab must come down.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  }
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  const measures = (await bench.run({ runs, words, signal: stop.signal, say })).map(judge);
  console.log(table(measures));
  if (json) {
    const machine = {
      cpus: os.cpus().length,
      model: os.cpus()[0]?.model ?? 'unknown',
      memoryBytes: os.totalmem(),
      kernel: os.release(),
      node: process.version,
    };
    console.log(JSON.stringify({ bench: bench.name, machine, measures }));
  }
  return measures.every(({ ok }) => ok !== false);
}

function fail(error: unknown): number {
  const text = error instanceof Error ? error.message : String(error);
  process.stderr.write(`the benchmark did not come to its end: ${text}\n`);
  return 1;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    runs: { type: 'string' },
    // Of the wire's, and the link of the disks'.
    link: { type: 'string' },
    delay: { type: 'string' },
    memory: { type: 'string' },
    dirty: { type: 'string' },
    only: { type: 'string' },
    // Of the disks'.
    size: { type: 'string' },
  },
});
const [name] = positionals;
if (name === undefined) {
  list();
} else {
  const bench = BENCHES.find((candidate) => candidate.name === name);
  const runs = values.runs === undefined ? undefined : Number(values.runs);
  if (bench === undefined || (runs !== undefined && !(Number.isInteger(runs) && runs > 0))) {
    const what =
      bench === undefined
        ? `no benchmark is called ${name}`
        : '--runs takes a whole number above 0';
    process.stderr.write(`${what}\n`);
    list();
    process.exit(2);
  }
  process.exit(
    await runBench(bench, { runs, json: values.json, words: values }).then(
      (met) => (met ? 0 : 1),
      fail,
    ),
  );
}
