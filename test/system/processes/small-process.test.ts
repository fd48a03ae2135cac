import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { UNOPTIMISED_FLAGS } from '../../../src/system/processes/small-process.ts';

/** Calls one function until V8 has optimised it, at most so often, and lets V8 get to that in between. */
const STORY = `
  const { optimiseWhatIsHot } = await import(process.argv[1]);
  const sum = (many) => { let all = 0; for (let at = 0; at < many; at += 1) all = (all + at * at) % 1009; return all; };
  const turns = (calls) => { for (let call = 0; call < calls; call += 1) sum(20); };
  %NeverOptimizeFunction(turns);
  const isOptimised = async (rounds) => {
    for (let round = 0; round < rounds; round += 1) {
      turns(5000);
      if ((%GetOptimizationStatus(sum) & 8) !== 0) return true;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return false;
  };
  const before = await isOptimised(20);
  optimiseWhatIsHot();
  console.log(JSON.stringify({ before, after: await isOptimised(2000) }));
`;

/** Whether something that nobody holds any more is gone once all garbage was to be collected. */
const GARBAGE = `
  const { collectGarbage } = await import(process.argv[1]);
  const left = new WeakRef({ of: 'a start' });
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  console.log(left.deref() === undefined);
`;

/** The relative imports that Node itself looks up while a source and zod are loaded, and that both work. */
const RESOLVED = `
  const { registerHooks } = await import('node:module');
  const asked = [];
  registerHooks({ resolve: (name, context, next) => { asked.push(name); return next(name, context); } });
  const { resolveImportsDirectly } = await import(process.argv[1]);
  resolveImportsDirectly();
  asked.length = 0;
  const { guestName } = await import(new URL('../../protocol/names.ts', process.argv[1]).href);
  const { issues } = guestName.safeParse(1).error;
  const names = asked.filter((name) => name.startsWith('.'));
  console.log(JSON.stringify({ names, has: asked.includes('zod'), message: issues[0].message }));
`;

/** A nursery that a start does not fill, MiB: V8 collects nothing by itself. */
const ROOMY = ['--min-semi-space-size=64', '--max-semi-space-size=64'];

async function told(story: string, flags: readonly string[]): Promise<unknown> {
  const program = new URL('../../../src/system/processes/small-process.ts', import.meta.url).href;
  const all = [...flags, '--input-type=module', '-e', story, program];
  // What reads compiled code collects garbage, too.
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  return JSON.parse((await promisify(execFile)(process.execPath, all, { env })).stdout);
}

test('a mover collects its startup garbage at once; a process without its flags does nothing', async () => {
  assert.equal(await told(GARBAGE, UNOPTIMISED_FLAGS), true);
  assert.equal(await told(GARBAGE, ROOMY), false);
});

test("a mover optimizes nothing until the guest's bytes pass through it, and then the hot code", async () => {
  const flags = [...UNOPTIMISED_FLAGS, '--allow-natives-syntax'];
  assert.deepEqual(await told(STORY, flags), { before: false, after: true });
});

test('imports of sources and of zod are resolved by their text, others by Node', async () => {
  assert.deepEqual(await told(RESOLVED, []), {
    names: [],
    has: true,
    message: 'Invalid input: expected string, received number',
  });
});
