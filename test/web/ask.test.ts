import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { newRequest, requestAsk } from '../../src/protocol/controller/fleet-request.ts';
import { askOf, formIn, howFar, titleOf } from '../../web/src/requests/ask.ts';

test('any address gives a request that fits the contract, or an error for the user', () => {
  const text = fc.constantFrom('', '1', '12', '0', '-1', 'x', '1.5', '99999999');
  const query = fc.record({
    kind: fc.constantFrom('drain', 'evacuate', 'migration', 'nonsense'),
    hosts: fc.constantFrom('', 'a', 'a,b', 'a a,  b', ',,'),
    guest: fc.constantFrom('', 'web1'),
    to: fc.constantFrom('', 'c'),
    parallel: text,
    deadline: text,
    mode: fc.constantFrom('', 'hybrid', 'nonsense'),
    path: fc.constantFrom('', 'wire', 'nonsense'),
  });
  fc.assert(
    fc.property(query, (fields) => {
      const wanted = askOf(formIn(new URLSearchParams(fields)), 1000);
      if ('wrong' in wanted) return assert.match(wanted.wrong, /\.$/);
      const ask = requestAsk.parse(wanted.ask);
      assert.equal(ask.kind === 'migration', ask.guest !== undefined);
      assert.equal(ask.kind === 'drain', ask.hosts.length === 1);
      assert.equal(ask.settings.path, fields.path === 'wire' ? 'wire' : undefined);
      assert.ok((ask.deadlineAtMs ?? 1001) > 1000);
    }),
  );
});

test('a request has a title', () => {
  assert.equal(titleOf({ kind: 'drain', hosts: ['a'] }), 'Drain of a');
  assert.equal(titleOf({ kind: 'evacuate', hosts: ['a', 'b', 'c', 'd'] }), 'Evacuation of 4 hosts');
  assert.equal(titleOf({ kind: 'migration', hosts: [], guest: 'web1' }), 'Move of web1');
});

test('a request extends to its guests, and its end is named only if all of it is predicted', () => {
  const ask = requestAsk.parse({ kind: 'drain', hosts: ['a'] });
  const begun = newRequest('r-00000001', ask, { nowMs: 0, by: 'ann' });
  const waits = { guest: 'g2', from: 'a', waitsFor: 'turn' as const, words: 'its turn' };
  const order = [{ guest: 'g2', to: 'b', seconds: 5 }];
  const request = { ...begun, moved: 1, order, queue: [{ ...waits, startsAtMs: 2000 }] };
  const far = howFar(request, [], 1000);
  assert.deepEqual([far.moved, far.waiting, far.percent, far.endsAtMs], [1, 1, 50, 7000]);
  assert.equal(howFar({ ...request, queue: [waits] }, [], 1000).endsAtMs, undefined);
  assert.equal(howFar({ ...request, phase: 'done', queue: [] }, [], 1000).percent, 100);
});
