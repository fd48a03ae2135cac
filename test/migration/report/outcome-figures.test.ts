import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cameTo, clientGapMs } from '../../../src/migration/report/outcome-figures.ts';
import { report } from '../../cli/fake.ts';

test('a migration that came to its end came to its figures, and what nobody saw is absent', () => {
  const { vantages: _vantages, ...unseen } = report();
  const { clientGapMs: gap, ...came } = cameTo(unseen);
  assert.equal(gap, undefined);
  assert.deepEqual(came, {
    bytes: 600 * 1024 * 1024,
    totalMs: 5000,
    memoryMs: 4300,
    rounds: 3,
    downtimeMs: 42,
  });
});

test('one that failed came to nothing that was predicted', () => {
  assert.deepEqual(cameTo(report({ outcome: 'failed' })), {});
});

test('the client gap is the longest that any host saw', () => {
  const vantages = [{ host: 'c', gapMs: 40 }, { host: 'd', gapMs: 90 }, { host: 'e' }];
  assert.equal(clientGapMs({ vantages }), 90);
  assert.equal(clientGapMs({ vantages: [{ host: 'e', notTried: 'no address' }] }), undefined);
});
