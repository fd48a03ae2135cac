import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  newRequest,
  requestAsk,
  REQUEST_PHASES,
} from '../../src/protocol/controller/fleet-request.ts';
import { toasts, withToast, type Toast } from '../../web/src/base/toasts.ts';
import { expectResult, newsOfResult, resultOf } from '../../web/src/requests/results.ts';

const ask = requestAsk.parse({ kind: 'migration', guest: 'Web1' });
const request = {
  ...newRequest('r-00000001', ask, { nowMs: 0, by: 'ann' }),
  words: '1 guest stays',
};

test('a request has a result once it has ended, and the result links to it', () => {
  const found = REQUEST_PHASES.map((phase) => [phase, resultOf({ ...request, phase })] as const);
  for (const [phase, result] of found) {
    assert.equal(result === undefined, phase === 'working' || phase === 'cancelling', phase);
    if (result !== undefined) assert.equal(result.link?.href, '/requests/r-00000001');
  }
  const left = resultOf({ ...request, phase: 'left' });
  assert.equal(left?.tone, 'warn');
  assert.equal(left?.words, 'Move of Web1 has ended, and not all is done: 1 guest stays.');
});

test('the result of a request is shown once, and only on the page that made it', () => {
  newsOfResult({ ...request, phase: 'done' });
  assert.deepEqual(toasts.value, []);
  expectResult(request.id);
  newsOfResult({ ...request, phase: 'working' });
  assert.deepEqual(toasts.value, []);
  newsOfResult({ ...request, phase: 'done' });
  newsOfResult({ ...request, phase: 'done' });
  assert.deepEqual(
    toasts.value.map(({ words }) => words),
    ['Move of Web1 is done.'],
  );
});

test('results are few, and the same text is shown once', () => {
  const one = (id: number, words = `result ${id}`): Toast => ({ id, words, tone: 'good' });
  const all = [1, 2, 3, 4, 5].reduce(
    (list, id) => withToast(list, one(id)),
    [] as readonly Toast[],
  );
  assert.deepEqual(
    all.map(({ id }) => id),
    [2, 3, 4, 5],
  );
  assert.deepEqual(
    withToast(all, one(6, 'result 3')).map(({ id }) => id),
    [2, 4, 5, 6],
  );
});
