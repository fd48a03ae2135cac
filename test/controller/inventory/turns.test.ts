import assert from 'node:assert/strict';
import { test } from 'node:test';
import { paced } from '../../../src/controller/inventory/turns.ts';

const never = (): Promise<never> => new Promise(() => {});
const answering = async () => ({ what: 'answer', said: '' }) as const;

test('hosts that failed the last time take no turn of another host, however long they take', async () => {
  const { turn } = paced(answering);
  for (let host = 0; host < 1000; host += 1) void turn(never, true);
  assert.equal(await turn(async () => 'followed', false), 'followed');
});

test('a fixed number of turns runs at once, and each end starts the next, whether it failed or not', async () => {
  const { turn } = paced(answering);
  const ends: PromiseWithResolvers<void>[] = [];
  const work = async (): Promise<void> => {
    const end = Promise.withResolvers<void>();
    ends.push(end);
    await end.promise;
  };
  const all = Array.from({ length: 100 }, () => turn(work, false).catch(() => {}));
  const begun = ends.length;
  assert.ok(begun > 0 && begun < 100, `${begun} at once`);
  for (let ended = 0; ended < 100; ended += 1) {
    if (ended % 2 === 0) ends[ended]!.resolve();
    else ends[ended]!.reject(new Error('no'));
    await all[ended];
    await new Promise(setImmediate);
    assert.equal(ends.length, Math.min(100, begun + ended + 1));
  }
});
