import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SpacedWrites } from '../../../src/agent/recovery/spaced-writes.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Writes and pauses that end when the test says so. */
function scene() {
  const world = { now: 0 };
  const pauses: { readonly ms: number; readonly end: () => void }[] = [];
  const begun: { readonly key: string; readonly end: (failed?: Error) => void }[] = [];
  const writes = new SpacedWrites({
    clock: {
      monotonicMs: () => world.now,
      sleep: (ms, signal) =>
        new Promise((end, reject) => {
          pauses.push({ ms, end });
          signal?.addEventListener('abort', () => reject(signal.reason as Error));
        }),
    },
    everyMs: 1000,
    write: (key) => {
      const ended = Promise.withResolvers<void>();
      const end = (failed?: Error) => (failed ? ended.reject(failed) : ended.resolve());
      begun.push({ key, end });
      return ended.promise;
    },
  });
  return { world, pauses, begun, writes };
}

test('the first write begins at once, and all callers until the next write share that one', async () => {
  const { world, pauses, begun, writes } = scene();
  const first = writes.ask('a');
  await turn();
  assert.equal(begun.length, 1);
  const second = writes.ask('a');
  assert.equal(writes.ask('a'), second);
  world.now = 300;
  begun[0]?.end();
  await first;
  await turn();
  assert.deepEqual(
    pauses.map(({ ms }) => ms),
    [700],
  );
  assert.equal(begun.length, 1);
  pauses[0]?.end();
  await turn();
  assert.equal(begun.length, 2);
  begun[1]?.end();
  await second;
});

test('a slow write is never joined by another write of its key, and does not delay another key', async () => {
  const { world, begun, writes } = scene();
  void writes.ask('a');
  await turn();
  world.now = 60_000;
  void writes.ask('a');
  void writes.ask('b');
  await turn();
  assert.deepEqual(
    begun.map(({ key }) => key),
    ['a', 'b'],
  );
  begun[0]?.end();
  await turn();
  assert.equal(begun.length, 3);
});

test('callers that wait for a failed write get the error, and the next write begins all the same', async () => {
  const { world, begun, writes } = scene();
  const failed = writes.ask('a');
  const told = writes.settled('a');
  await turn();
  const toldLater = writes.settled('a');
  begun[0]?.end(new Error('the disk is full'));
  for (const each of [failed, told, toldLater]) await assert.rejects(each, /the disk is full/);
  world.now = 1000;
  const next = writes.ask('a');
  await turn();
  begun[1]?.end();
  await next;
  await writes.settled('a');
  await writes.settled('never asked for');
});

test('closing ends the pauses and waits for the writes', async () => {
  const { pauses, begun, writes } = scene();
  void writes.ask('a');
  await turn();
  begun[0]?.end();
  await turn();
  void writes.ask('a');
  await turn();
  assert.equal(pauses.length, 1);
  let isClosed = false;
  const closed = writes.close().then(() => (isClosed = true));
  await turn();
  assert.deepEqual([begun.length, isClosed], [2, false]);
  begun[1]?.end();
  await closed;
});
