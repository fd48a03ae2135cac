import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeHeldMove, type HeldMoveSight } from '../../src/migration/held-disk-move.ts';

const verdicts = (sight: HeldMoveSight) => judgeHeldMove(sight).map(({ verdict }) => verdict);
const seen = (on: 'old' | 'new' | 'neither', job: 'none' | 'copying' | 'pending' | 'ended') =>
  verdicts({ kind: 'seen', on, job });

describe('the answers to a held disk move', () => {
  test('an answer follows the image that the hypervisor reports once its job is over', () => {
    assert.deepEqual(seen('old', 'none'), ['safe', 'wrong']);
    assert.deepEqual(seen('new', 'ended'), ['wrong', 'safe']);
    assert.deepEqual(seen('neither', 'none'), ['risky', 'risky']);
  });

  test('an answer waits while the hypervisor has the job, or cannot be asked', () => {
    for (const on of ['old', 'new', 'neither'] as const) {
      for (const job of ['copying', 'pending'] as const) {
        assert.deepEqual(seen(on, job), ['waits', 'waits']);
      }
    }
    assert.deepEqual(verdicts({ kind: 'silent', why: 'no monitor' }), ['waits', 'waits']);
  });

  test('an answer rests on the operator if the hypervisor is gone', () => {
    assert.deepEqual(verdicts({ kind: 'gone' }), ['risky', 'risky']);
  });

  test('an answer waits for every copying guest if no file names the guest', () => {
    const nameless = { kind: 'nameless', busy: [], silent: [] } as const;
    assert.deepEqual(verdicts(nameless), ['risky', 'risky']);
    assert.deepEqual(verdicts({ ...nameless, busy: ['db1'] }), ['waits', 'waits']);
    const silent = Array.from({ length: 20 }, (_, at) => `web${at}`);
    const [answer] = judgeHeldMove({ ...nameless, silent });
    assert.match(answer?.why ?? '', /no answer: web0, .*web7 and 12 more$/);
  });
});
