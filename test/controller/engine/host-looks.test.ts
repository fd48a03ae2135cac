import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostLooks } from '../../../src/controller/engine/host-looks.ts';
import type { Sight } from '../../../src/controller/requests/settle.ts';
import { moveOf } from '../requests/worlds.ts';

const GOING: Sight = { seen: 'going' };
const DONE: Sight = { seen: 'done' };

/** Hosts whose lists have these ids, and what they were asked. */
function looking(listed: readonly string[], isSilent = false) {
  const asked: string[] = [];
  let nowMs = 0;
  const looks = new HostLooks({
    monotonicMs: () => nowMs,
    one: async ({ id }) => {
      asked.push(id);
      return DONE;
    },
    newest: async (host, most) => {
      asked.push(`${host}: ${most}`);
      if (isSilent) throw new Error('no answer');
      return new Map(listed.map((id) => [id, GOING]));
    },
  });
  const look = async (from: string, ...ids: string[]) => {
    const sights = await Promise.all(ids.map((id) => looks.look(moveOf({ id, from }))));
    return sights.map(({ seen }) => seen);
  };
  /** Many looks, and those are forgotten. */
  const busy = async () => {
    await look('z', ...Array.from({ length: 100 }, (_none, at) => `m-${at}`));
    asked.length = 0;
  };
  return { asked, look, busy, later: (ms: number) => (nowMs += ms) };
}

test('few moves are looked at one by one, so that a hanging one does not delay another', async () => {
  const { asked, look } = looking(['m-1', 'm-2']);
  assert.deepEqual(await look('a', 'm-1', 'm-2'), ['done', 'done']);
  assert.deepEqual(asked, ['m-1', 'm-2']);
});

test('many moves of one host share one question, and each move that its answer omits is asked for alone', async () => {
  const { asked, look, busy } = looking(['m-1', 'm-2']);
  await busy();
  assert.deepEqual(await look('a', 'm-1', 'm-2', 'm-3'), ['going', 'going', 'done']);
  assert.deepEqual(asked, ['a: 6', 'm-3']);
  asked.length = 0;
  assert.deepEqual(await Promise.all([look('a', 'm-1', 'm-2'), look('b', 'm-1', 'm-2')]), [
    ['going', 'going'],
    ['going', 'going'],
  ]);
  assert.deepEqual(asked, ['a: 4', 'b: 4']);
  asked.length = 0;
  assert.deepEqual(await look('a', 'm-1'), ['done']);
  assert.deepEqual(asked, ['m-1']);
});

test('each move is asked for alone if its host gives no list', async () => {
  const { asked, look, busy } = looking([], true);
  await busy();
  assert.deepEqual(await look('a', 'm-1', 'm-2'), ['done', 'done']);
  assert.deepEqual(asked, ['a: 4', 'm-1', 'm-2']);
});

test('each move is looked at by itself again once there are few', async () => {
  const { asked, look, busy, later } = looking(['m-1', 'm-2']);
  await busy();
  later(1000);
  await look('a', 'm-1', 'm-2');
  assert.deepEqual(asked, ['a: 4']);
  asked.length = 0;
  later(1000);
  await look('a', 'm-1', 'm-2');
  assert.deepEqual(asked, ['m-1', 'm-2']);
  await busy();
  later(3000);
  await look('a', 'm-1', 'm-2');
  assert.deepEqual(asked, ['m-1', 'm-2']);
});
