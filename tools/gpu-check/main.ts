/**
 * `npm run gpu-check`: takes the state of a process away from a real GPU and gives it back, and says what became of it. Where
 * there is no GPU it says so. With `--bundle DIRECTORY` it makes what does the same on another machine, with nothing but the
 * Node that is there.
 */
import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { parseArgs } from 'node:util';
import { NoGpu } from '../../src/gpu/driver-library.ts';
import type { FoundGpus } from '../../src/gpu/helper-protocol.ts';
import { GpuHelper } from '../../src/gpu/helper-client.ts';
import { serveHelper } from '../../src/gpu/helper-side.ts';
import {
  killedHelper,
  lockTimesOut,
  thereAndBack,
  wrongGpu,
  type Line,
  type Trial,
} from './play.ts';
import { serveWorker } from './worker-side.ts';

const GIB = 1024 ** 3;
const SIZES_GIB = [1, 2, 4, 8, 16, 32];
/** Of the host's free memory: what is taken away from a GPU lies there. */
const HOST_SHARE = 0.8;
const GPU_SHARE = 0.9;

const HELP = `Takes the state of a process away from a GPU and gives it back, and compares every byte.

Usage: npm run gpu-check -- [options]

  --most GIB          the largest size of 1, 2, 4, 8, 16 and 32 GiB that is tried (default: what fits)
  --library FILE      the driver's library (default: libcuda.so.1)
  --bundle DIRECTORY  make a directory that does this on another machine: node DIRECTORY/gpu-check.mjs
  --json              one JSON object on standard output
`;

const { values } = parseArgs({
  options: {
    most: { type: 'string' },
    library: { type: 'string', default: 'libcuda.so.1' },
    bundle: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
    // What this program starts itself as.
    as: { type: 'string' },
    bytes: { type: 'string' },
  },
});

if (values.help) process.stdout.write(HELP);
else if (values.as === 'helper') serveHelper(values.library);
else if (values.as === 'worker') serveWorker(values.library, Number(values.bytes));
else if (values.bundle === undefined) process.exitCode = await check();
else {
  const { makeBundle } = await import('./bundle.ts');
  await makeBundle(values.bundle);
}

async function check(): Promise<number> {
  const { library, json } = values;
  const self = [...process.execArgv, process.argv[1] ?? '', '--library', library];
  const command = (...words: string[]): [string, ...string[]] => [
    process.execPath,
    ...self,
    ...words,
  ];
  const say = (line: Line): void => {
    if (!json) process.stdout.write(`${textOf(line)}\n`);
  };
  const trial: Trial = {
    helper: command('--as', 'helper'),
    worker: (bytes) => command('--as', 'worker', '--bytes', String(bytes)),
    say,
  };
  const helper = new GpuHelper(trial.helper);
  try {
    const found = await helper.gpus();
    const driver = driverVersion();
    if (!json) process.stdout.write(`${headOf(found, driver)}\n`);
    const lines = await playAll(trial, helper, found);
    const ok = lines.every((line) => line.ok);
    if (json)
      process.stdout.write(`${JSON.stringify({ gpu: true, ok, driver, ...found, lines })}\n`);
    return ok ? 0 : 1;
  } catch (error) {
    if (!(error instanceof NoGpu)) throw error;
    const reason = error.message;
    process.stdout.write(
      json ? `${JSON.stringify({ gpu: false, reason })}\n` : `no GPU here: ${reason}\n`,
    );
    return 0;
  } finally {
    helper.close();
  }
}

async function playAll(trial: Trial, helper: GpuHelper, { gpus }: FoundGpus): Promise<Line[]> {
  const room = Math.min((gpus[0]?.totalBytes ?? 0) * GPU_SHARE, freemem() * HOST_SHARE);
  const most = values.most === undefined ? Infinity : Number(values.most) * GIB;
  const sizes = SIZES_GIB.map((size) => size * GIB).filter((size) => size <= most && size <= room);
  const lines: Line[] = [];
  // A little of it, where not even the smallest size may be tried.
  for (const bytes of sizes.length === 0 ? [GIB / 16] : sizes)
    lines.push(await thereAndBack(trial, helper, bytes));
  lines.push(await lockTimesOut(trial, helper));
  lines.push(await wrongGpu(trial, helper));
  lines.push(await killedHelper(trial));
  return lines;
}

function headOf({ version, gpus }: FoundGpus, driver: string | undefined): string {
  const names = gpus.map(
    ({ name, totalBytes }) => `${name} (${(totalBytes / GIB).toFixed(1)} GiB)`,
  );
  const cuda = `CUDA ${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
  return `${names.join(', ')}; driver ${driver ?? 'of no known version'}, ${cuda}`;
}

function driverVersion(): string | undefined {
  try {
    return readFileSync('/sys/module/nvidia/version', 'utf8').trim();
  } catch {
    return undefined;
  }
}

function textOf({ what, ok, found, ms }: Line): string {
  const times = Object.entries(ms ?? {}).map(([name, value]) => `${name} ${value} ms`);
  return `${ok ? '✔' : '✘'} ${what}: ${[found, ...times].join(', ')}`;
}
