import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SendQueue } from '../../../../src/disks/copy/tunnel/send-queue.ts';

test('each sender gets its turn, however much another has to send', async () => {
  const sent: number[] = [];
  const queue = new SendQueue(async (channel) => {
    await new Promise((done) => setImmediate(done));
    sent.push(channel);
  });
  const much = async (channel: number): Promise<void> => {
    for (let count = 0; count < 10; count += 1) await queue.send(channel, new Uint8Array(1));
  };
  await Promise.all([much(32), much(33), much(34)]);
  assert.deepEqual(sent.slice(0, 9), [32, 33, 34, 32, 33, 34, 32, 33, 34]);
});

test('a message that fails is reported to its sender, and the next ones continue', async () => {
  const queue = new SendQueue((channel) =>
    channel === 1 ? Promise.reject(new Error('no')) : Promise.resolve(),
  );
  const outcomes = await Promise.allSettled(
    [1, 2].map((each) => queue.send(each, new Uint8Array(1))),
  );
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'fulfilled'],
  );
});
