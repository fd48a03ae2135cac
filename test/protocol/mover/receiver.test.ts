import assert from 'node:assert/strict';
import { test } from 'node:test';
import { receiverLine, receiverOrder } from '../../../src/protocol/mover/receiver.ts';

test('an order to receive has the socket that the agent chose', () => {
  const order = {
    id: 'm-00000001',
    guest: 'web1',
    from: 'a',
    driver: 'fake',
    memoryBytes: 1,
    terms: { linkGraceMs: 1000, sharing: 'none' },
    timeoutMs: 60_000,
    socket: '/run/x/godwit-m-00000001.sock',
  };
  assert.deepEqual(receiverOrder.parse(order), order);
  const long = 'x'.repeat(108);
  assert.equal(receiverOrder.safeParse({ ...order, socket: long }).success, false);
  assert.equal(receiverOrder.safeParse({ ...order, diskSocket: long }).success, false);
});

test("a receiver's message is its address, or an error of the table", () => {
  const waits = { session: 'a'.repeat(32), address: 'b:1' };
  assert.deepEqual(receiverLine.parse(waits), waits);
  assert.equal(receiverLine.safeParse({ error: 'no' }).success, false);
});
