import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test, type TestContext } from 'node:test';
import { spawnPager } from '../../../../src/drivers/criu/pages/pager-client.ts';
import { becomes, place, prepare, skip, waits, type Place } from './place.ts';

// A pager that is killed between the reading of a message and its record: the kernel has forgotten the message by then.

prepare();

const KOFFI = createRequire(import.meta.url).resolve('koffi');
/** What a pager of a place loads before anything else: it kills itself at one instruction. */
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
/** What calls of the C library it does otherwise. */
const withCall = (name: string, instead: string): string => `
  import { createRequire } from 'node:module';
  const koffi = createRequire('${KOFFI}')('${KOFFI}');
  const { load } = koffi;
  koffi.load = (file) => {
    const library = load(file);
    const func = library.func.bind(library);
    return { func: (signature) => {
      const call = func(signature);
      return signature.startsWith('int ${name}(') ? (...given) => ${instead} : call;
    } };
  };
`;
/** The descriptor of a userfaultfd gets its number in the next moment: first that of a child, as it has read of a fork. */
const AT_PLACE = withCall('dup3', `given[1] >= 1000 ? ${END} : call(...given)`);
/** Its host lets it begin no keeper. */
const NO_KEEPER = withCall('clone', '-1');
/** It has written down its keepers beside those before, and all are killed but these. */
const NONE_LEFT = `
  import fs from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  const { writeSync } = fs;
  fs.writeSync = (...given) => {
    const written = writeSync(...given);
    if (!String(given[1]).includes('"keepers"')) return written;
    for (const { pid } of JSON.parse(given[1]).keepers.slice(2)) process.kill(pid, 'SIGKILL');
    ${END};
  };
  syncBuiltinESMExports();
`;

/** Its pagers load these, one each in their order; the one after them loads nothing. */
async function withPagers(t: TestContext, programs: readonly string[]): Promise<Place> {
  const left = [...programs];
  const spawning: typeof spawnPager = (...given) => {
    const { NODE_OPTIONS: before } = process.env;
    const program = left.shift();
    const url = `data:text/javascript,${encodeURIComponent(program ?? '')}`;
    if (program !== undefined) process.env['NODE_OPTIONS'] = `${before ?? ''} --import=${url}`;
    try {
      return spawnPager(...given);
    } finally {
      if (before === undefined) delete process.env['NODE_OPTIONS'];
      else process.env['NODE_OPTIONS'] = before;
    }
  };
  return place(t, { spawning });
}

/** As many have been begun. */
async function untilAfter(here: Place, killed: number): Promise<void> {
  const isIt = (): boolean => here.pagers.length > killed || here.lost !== undefined;
  await becomes('another one has begun', isIt);
  assert.equal(here.lost, undefined);
}

for (const when of ['before', 'after'] as const) {
  test(
    `a move of memory is known to the next pager, once, if one is killed just ${when} it is written down`,
    { skip },
    async (t) => {
      const here = await withPagers(t, [atWrite('move', when)]);
      assert.equal(await here.ask('move 6'), 'done');
      await untilAfter(here, 1);
      await here.bring(6);
      assert.equal(await here.ask('read 6'), '7 0');
      await here.bring(7);
      assert.equal(await here.ask('read 7'), '8 0');
    },
  );
}

test(
  'freed memory is known to the next pager if one is killed just before it is written down',
  { skip },
  async (t) => {
    const here = await withPagers(t, [atWrite('drop', 'before')]);
    assert.equal(await here.ask('drop 4'), 'done');
    await untilAfter(here, 1);
    await here.bring(4);
    assert.equal(await here.ask('read 4'), '0 0');
  },
);

const forked: readonly (readonly [when: string, ...programs: string[]])[] = [
  ['before its descriptor has its number', AT_PLACE],
  ['before it is written down', atWrite('forkOf', 'before')],
  ['after it is written down', atWrite('forkOf', 'after')],
  // From here on the first one's keepers hold the child's under the number alone that the kernel gave it.
  ['before its descriptor has its number, and the next may begin no keeper', AT_PLACE, NO_KEEPER],
  [
    'before its descriptor has its number, and the next before its keepers are written down',
    AT_PLACE,
    atWrite('keepers', 'before'),
  ],
  [
    'before its descriptor has its number, and the next just after that',
    AT_PLACE,
    atWrite('keepers', 'after'),
  ],
  ['before its descriptor has its number, and the next with its keepers', AT_PLACE, NONE_LEFT],
  [
    'before its descriptor has its number, and two more, one as it writes down the child and one with its keepers',
    AT_PLACE,
    atWrite('forkOf', 'after'),
    NONE_LEFT,
  ],
  [
    'before its descriptor has its number, and three more, each a step further',
    AT_PLACE,
    AT_PLACE,
    atWrite('forkOf', 'before'),
    atWrite('keepers', 'before'),
  ],
  ['as it is written down, and the next with its keepers', atWrite('forkOf', 'after'), NONE_LEFT],
];
for (const [when, ...programs] of forked) {
  test(
    `a child waits, and reads the received content, if its pager is killed ${when}`,
    { skip },
    async (t) => {
      const here = await withPagers(t, programs);
      const answer = here.ask('fork 9');
      await untilAfter(here, programs.length);
      await becomes('page 9 is wanted', () => here.wants.includes(9));
      await waits(answer, 'page 9 has not come');
      await here.bring(9);
      assert.equal(await answer, '10 0');
      assert.equal(await here.ask('read 9'), '10 0');
    },
  );
}

test(
  'a keeper holds no memory by a wrong descriptor: the process is lost, and keeps waiting',
  { skip },
  async (t) => {
    const here = await place(t);
    const [[pager = 0], keepers] = [here.pagers, await here.keepers()];
    process.kill(pager, 'SIGSTOP');
    // There is what keeps the place of a child that is yet to be forked.
    await here.write({ forkOf: 1001, fd: 1000 });
    process.kill(pager, 'SIGKILL');
    await becomes('it is said', () => here.lost !== undefined);
    assert.match(here.lost ?? '', /nobody held all/);
    assert.deepEqual(await here.keepers(), keepers);
    await waits(here.ask('read 3'), 'its keepers hold what they held');
  },
);
