import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DestinationState } from '../../../../src/migration/direct/destination/destination.ts';
import { ArrivedConnections } from '../../../../src/mover/direct/destination/connections.ts';
import { connection } from '../../../../src/protocol/peer/connections.ts';

const FRESH = [
  connection.parse({
    protocol: 'udp',
    original: { from: '10.88.0.99', to: '10.88.0.10' },
    reply: { from: '10.88.0.10', to: '10.88.0.99' },
    originalPorts: { from: 53, to: 1000 },
    replyPorts: { from: 1000, to: 53 },
    timeoutS: 30,
    seenReply: true,
    assured: false,
    mark: 0,
    zone: 0,
  }),
];

const NOBODY = { facts: { addresses: [], neighbours: [] }, hosts: [] };

function state(change: Partial<DestinationState>): DestinationState {
  const known = { right: 'armed', stage: 'prepared', admission: { epoch: 7 } };
  return { ...known, ...change } as unknown as DestinationState;
}

/** Neither does what needs a right: nothing is run. */
test('connections are accepted only for an expected guest', async () => {
  const arrived = new ArrivedConnections(async () => NOBODY);
  const take = (epoch: number, change: Partial<DestinationState>) =>
    arrived.take(
      { epoch, fresh: FRESH, gone: [], complete: false },
      () => state(change),
      AbortSignal.timeout(10_000),
    );
  const unexpected = { put: 0, problem: 'the guest is not expected here' };
  assert.deepEqual(await take(6, {}), unexpected);
  assert.deepEqual(await take(7, { right: 'refused' }), unexpected);
  assert.deepEqual(await take(7, { stage: 'admitted' }), unexpected);
  assert.deepEqual(await take(7, {}), { put: 0 });
  assert.deepEqual(await take(7, { right: 'running' }), { put: 0 });
  await arrived.forget(AbortSignal.timeout(10_000));
  assert.deepEqual(await take(7, {}), unexpected);
});
