import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { spawnPager } from '../../../../src/drivers/criu/pager-client.ts';
import { becomes, place, prepare, skip } from './place.ts';
import type { Place } from './place.ts';

// A pager that is killed between the reading of a message and its record: the kernel has forgotten the message by then.

prepare();

const KOFFI = createRequire(import.meta.url).resolve('koffi');
/** What the first pager of a place loads before anything else: it kills itself at one instruction. */
const END = `process.kill(process.pid, 'SIGKILL')`;
const atWrite = (what: string, when: 'before' | 'after'): string => `
  import fs from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  const { writeSync } = fs;
  fs.writeSync = (...given) => {
    const isIt = String(given[1]).includes('"${what}"');
    if (isIt && '${when}' === 'before') ${END};
    const written = writeSync(...given);
    if (isIt) ${END};
    return written;
  };
  syncBuiltinESMExports();
`;
/** It has read of a fork, and the child's descriptor has not got its number yet. */
const AT_PLACE = `
  import { createRequire } from 'node:module';
  const koffi = createRequire('${KOFFI}')('${KOFFI}');
  const { load } = koffi;
  koffi.load = (file) => {
    const library = load(file);
    const func = library.func.bind(library);
    return { func: (signature) => {
      const call = func(signature);
      return signature.includes('dup3') ? (fd, at, flags) => {
        if (at >= 1000) ${END};
        return call(fd, at, flags);
      } : call;
    } };
  };
`;

async function withPager(t: TestContext, program: string): Promise<Place> {
  let isFirst = true;
  const spawning: typeof spawnPager = (...given) => {
    const { NODE_OPTIONS: before } = process.env;
    const url = `data:text/javascript,${encodeURIComponent(program)}`;
    if (isFirst) process.env['NODE_OPTIONS'] = `${before ?? ''} --import=${url}`;
    isFirst = false;
    try {
      return spawnPager(...given);
    } finally {
      if (before === undefined) delete process.env['NODE_OPTIONS'];
      else process.env['NODE_OPTIONS'] = before;
    }
  };
  return place(t, { spawning });
}

async function untilTheNext(here: Place): Promise<void> {
  await becomes('another one has begun', () => here.pagers.length === 2 || here.lost !== undefined);
  assert.equal(here.lost, undefined);
}

for (const when of ['before', 'after'] as const) {
  test(
    `a move of memory is known to the next pager, and once, where one is killed just ${when} it is written down`,
    { skip },
    async (t) => {
      const here = await withPager(t, atWrite('move', when));
      assert.equal(await here.ask('move 6'), 'done');
      await untilTheNext(here);
      await here.bring(6);
      assert.equal(await here.ask('read 6'), '7 0');
      await here.bring(7);
      assert.equal(await here.ask('read 7'), '8 0');
    },
  );
}

test(
  'memory that is given up is known to the next pager where one is killed just before it is written down',
  { skip },
  async (t) => {
    const here = await withPager(t, atWrite('drop', 'before'));
    assert.equal(await here.ask('drop 4'), 'done');
    await untilTheNext(here);
    await here.bring(4);
    assert.equal(await here.ask('read 4'), '0 0');
  },
);

const forked: readonly (readonly [when: string, program: string])[] = [
  ['before its descriptor has its number', AT_PLACE],
  ['before it is written down', atWrite('forkOf', 'before')],
  ['after it is written down', atWrite('forkOf', 'after')],
];
for (const [when, program] of forked) {
  test(
    `a child waits, and reads what comes, where its pager is killed ${when}`,
    { skip },
    async (t) => {
      const here = await withPager(t, program);
      const answer = here.ask('fork 9');
      await untilTheNext(here);
      await becomes('page 9 is wanted', () => here.wants.includes(9));
      await here.bring(9);
      assert.equal(await answer, '10 0');
      assert.equal(await here.ask('read 9'), '10 0');
    },
  );
}
