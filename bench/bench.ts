import os from 'node:os';
import { parseArgs } from 'node:util';
import { judge, table, type Bench, type BenchWords } from './contract.ts';
import { auto } from './auto.ts';
import { balloon } from './balloon.ts';
import { check } from './check.ts';
import { command } from './command.ts';
import { container } from './container.ts';
import { convergence } from './convergence.ts';
import { dashboard } from './dashboard.ts';
import { disks } from './disks.ts';
import { drain } from './drain.ts';
import { events } from './events.ts';
import { firstHour } from './first-hour.ts';
import { fleet } from './fleet.ts';
import { footprint } from './footprint.ts';
import { gap } from './gap.ts';
import { libvirt } from './libvirt.ts';
import { managers } from './managers.ts';
import { overhead } from './overhead.ts';
import { planner } from './planner.ts';
import { postcopy } from './postcopy.ts';
import { prediction } from './prediction.ts';
import { sameMachine } from './same-machine.ts';
import { sites } from './sites.ts';
import { soak } from './soak.ts';
import { soakDisks } from './soak-disks.ts';
import { start } from './start.ts';
import { wire } from './wire.ts';
import { wireCodec } from './wire-codec.ts';
import { wireCuts } from './wire-cuts.ts';
import { wireDrain } from './wire-drain.ts';
import { wireLinks } from './wire-links.ts';
import { wireMovers } from './wire-movers.ts';
import { wireStream } from './wire-stream.ts';

/** `npm run bench` lists; `npm run bench -- NAME [--runs N] [--json]` runs one. */
const BENCHES: readonly Bench[] = [
  overhead,
  postcopy,
  check,
  balloon,
  command,
  start,
  sameMachine,
  footprint,
  soak,
  disks,
  gap,
  soakDisks,
  container,
  wire,
  auto,
  wireStream,
  wireCodec,
  wireLinks,
  wireMovers,
  wireCuts,
  wireDrain,
  sites,
  planner,
  drain,
  prediction,
  convergence,
  fleet,
  dashboard,
  events,
  managers,
  libvirt,
  firstHour,
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

function fail(error: unknown): false {
  const text = error instanceof Error ? error.message : String(error);
  process.stderr.write(`the benchmark did not come to its end: ${text}\n`);
  return false;
}

/** Throws where an option is none. */
function readCommandLine() {
  return parseArgs({
    allowPositionals: true,
    options: {
      help: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      runs: { type: 'string' },
      // Of the wire's, and the link of the disks'.
      link: { type: 'string' },
      delay: { type: 'string' },
      memory: { type: 'string' },
      dirty: { type: 'string' },
      rewrite: { type: 'string' },
      only: { type: 'string' },
      // Of the disks'.
      size: { type: 'string' },
      // Of convergence's.
      whole: { type: 'boolean' },
      points: { type: 'string' },
      // Of the planner's.
      data: { type: 'string' },
      // Of the fleet's.
      hosts: { type: 'string' },
      controllers: { type: 'string' },
      moves: { type: 'string' },
      // Of libvirt's.
      libvirt: { type: 'string' },
      // Of prediction's.
      seed: { type: 'string' },
    },
  });
}

async function main(): Promise<number> {
  const { values, positionals } = readCommandLine();
  const [name] = positionals;
  if (name === undefined || values.help) {
    list();
    return 0;
  }
  const bench = BENCHES.find((candidate) => candidate.name === name);
  const runs = values.runs === undefined ? undefined : Number(values.runs);
  if (bench === undefined) throw new RangeError(`no benchmark is called ${name}`);
  if (runs !== undefined && !(Number.isInteger(runs) && runs > 0)) {
    throw new RangeError('--runs takes a whole number above 0');
  }
  const met = await runBench(bench, { runs, json: values.json, words: values }).catch(fail);
  return met ? 0 : 1;
}

process.exit(
  await main().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n`);
    list();
    return 2;
  }),
);
