import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isRequestEnd,
  newRequest,
  fleetRequest,
  requestAsk,
  REQUEST_PHASES,
} from '../../../src/protocol/controller/fleet-request.ts';

test('a new request fits the store, and is running', () => {
  const ask = requestAsk.parse({ kind: 'drain', hosts: ['a'] });
  const made = newRequest('r-00000001', ask, { nowMs: 5, by: 'eva' });
  assert.deepEqual(fleetRequest.parse(JSON.parse(JSON.stringify(made))), made);
  assert.equal(made.phase, 'working');
});

test('two phases are not final', () => {
  assert.deepEqual(
    REQUEST_PHASES.filter((each) => !isRequestEnd(each)),
    ['working', 'cancelling'],
  );
});

test('the input for a request is bounded', () => {
  assert.ok(!requestAsk.safeParse({ kind: 'drain', hosts: ['a'], maxParallel: 0 }).success);
  assert.ok(!requestAsk.safeParse({ kind: 'drain', hosts: ['../a'] }).success);
  assert.ok(!requestAsk.safeParse({ kind: 'forget', hosts: ['a'] }).success);
});
