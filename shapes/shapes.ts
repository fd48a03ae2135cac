/** `npm run shapes`: guests as others start them, started by hand and moved there and back. See docs/guests.md. */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { qemuPrograms } from '../test/conformance/qemu-place.ts';
import { documentOf } from './document.ts';
import { routesFor } from './plan.ts';
import { SHAPES } from './table.ts';
import { tryShape } from './trial.ts';
import { tryRandom } from './try-random.ts';

const USAGE = `npm run shapes -- [--only PATTERN] [--json] [--all] [--seed N] [--random N] [--list] [--write]

  --only P   only shapes whose name has a part that matches
  --all      each shape by each mode on each pair of QEMUs; default: each shape by one of them
  --seed N   which one; default 1
  --random N so many guests of random parts instead of the table; one that does not move is made as small as it can be
  --list     the shapes, and nothing is started
  --write    writes docs/guests.md anew, and nothing is started
  --json     what it came to, as one line of JSON on standard output
`;
const PAGE = 'docs/guests.md';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    random: { type: 'string', default: '0' },
    list: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    inside: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

/**
 * Runs this program again in namespaces of its own: its bridges, taps and processes are no others', and end with it.
 * Nothing of them has a way out.
 */
function insideNamespaces(): Promise<number> {
  const own = [process.execPath, ...process.argv.slice(1), '--inside'];
  const enter = 'mount -t sysfs sysfs /sys && ip link set lo up && "$@"';
  const words = '--net --mount --pid --fork --kill-child --mount-proc sh -c';
  const child = spawn('unshare', [...words.split(' '), enter, 'sh', ...own], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => child.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

async function tryAll(): Promise<number> {
  const programs = await qemuPrograms();
  if (Number(values.random) > 0) return tryRandomly(programs);
  const pattern = new RegExp(values.only);
  const chosen = SHAPES.filter(({ name }) => pattern.test(name));
  const counts = { moved: 0, refused: 0, broken: 0, lost: 0 };
  for (const shape of chosen) {
    for (const route of routesFor(shape, programs, {
      all: values.all,
      seed: Number(values.seed),
    })) {
      const before = performance.now();
      const outcome = await tryShape(shape, route);
      counts[outcome.is] += 1;
      const seconds = ((performance.now() - before) / 1000).toFixed(1);
      const way = `${route.name}, ${seconds} s`;
      process.stderr.write(`${outcome.is.padEnd(8)}${shape.name} (${way})\n`);
      if ('why' in outcome)
        process.stderr.write(`        ${outcome.why.replaceAll('\n', '\n        ')}\n`);
    }
  }
  return sayCounts(counts) && chosen.length > 0 ? 0 : 1;
}

async function tryRandomly(programs: Awaited<ReturnType<typeof qemuPrograms>>): Promise<number> {
  const asked = { runs: Number(values.random), seed: Number(values.seed) };
  const counts = await tryRandom(programs, asked);
  return sayCounts({ ...counts, refused: 0, lost: 0 }) ? 0 : 1;
}

/** Whether all went as it should. */
function sayCounts(counts: Record<'moved' | 'refused' | 'broken' | 'lost', number>): boolean {
  const { moved, refused, broken, lost } = counts;
  const reported = `${moved} moved, ${refused} refused, ${broken} broken, ${lost} lost`;
  process.stdout.write(`${values.json ? JSON.stringify(counts) : reported}\n`);
  return broken + lost === 0;
}

async function main(): Promise<number> {
  if (values.help) process.stdout.write(USAGE);
  else if (values.list)
    for (const { name, what } of SHAPES) process.stdout.write(`${name}: ${what}\n`);
  else if (values.write) await writeFile(PAGE, documentOf(SHAPES));
  else return values.inside ? tryAll() : insideNamespaces();
  return 0;
}

process.exitCode = await main();
