import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostEvent } from '../../../../src/protocol/public/hosts/host-event.ts';

test('an event has an id, which is one line, and a kind', () => {
  const gone = { id: 'ab-1', type: 'guest-gone', name: 'web1' };
  assert.deepEqual(hostEvent.parse(gone), gone);
  for (const wrong of [{ id: 'a\nb' }, { id: '' }, { type: 'news' }, { name: '../x' }]) {
    assert.equal(hostEvent.safeParse({ ...gone, ...wrong }).success, false);
  }
});
