import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { initialSource } from '../../../../src/migration/direct/source-state.ts';
import { leftOf, untilMoment } from '../../../../src/mover/direct/source/time-limit.ts';
import { planned } from '../../../migration/direct/samples.ts';

describe('waiting for a moment', () => {
  test('is over at once where it has passed', async () => {
    await untilMoment(Date.now() - 1000, new AbortController().signal);
  });

  test('is over no sooner than it', async () => {
    const moment = Date.now() + 30;
    await untilMoment(moment, new AbortController().signal);
    assert.ok(Date.now() >= moment);
  });

  test('ends when it is aborted', async () => {
    const abort = new AbortController();
    const waits = untilMoment(Date.now() + 3_600_000, abort.signal);
    abort.abort(new Error('cancelled'));
    await assert.rejects(waits, /cancelled/);
  });
});

test('the time that it may take runs from when it began, and a deadline from no moment', () => {
  const { state } = initialSource(planned({ timeoutMs: 5000 }));
  assert.equal(leftOf(state, 1000, 3000), 3000);
  const began = { ...state, known: { beganAtMs: 1_000_000 } };
  assert.equal(leftOf(began, 1000, 1_001_000), 4000);
  const deadlineAt = new Date(1_002_000).toISOString();
  const { state: limited } = initialSource(planned({ timeoutMs: 5000, deadlineAt }));
  assert.equal(leftOf({ ...limited, known: began.known }, 1000, 1_001_000), 1000);
});
