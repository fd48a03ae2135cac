import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fleetEvent } from '../../../src/protocol/controller/events.ts';

test('an event of a fleet names the host, and has an id for a client to resume from', () => {
  const gone = { id: '0123456789ab-1', type: 'guest-gone', host: 'a', name: 'web1' };
  assert.deepEqual(fleetEvent.parse(gone), gone);
  const { id: _id, ...without } = gone;
  assert.equal(fleetEvent.safeParse(without).success, false);
});
