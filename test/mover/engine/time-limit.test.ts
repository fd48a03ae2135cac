import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { leftOf, untilMoment } from '../../../src/mover/engine/time-limit.ts';

describe('a wait for a time', () => {
  test('a wait for a time that has passed is over at once', async () => {
    await untilMoment(Date.now() - 1000, systemClock, new AbortController().signal);
  });

  test('a wait for a time is over no sooner than that time', async () => {
    const moment = Date.now() + 30;
    await untilMoment(moment, systemClock, new AbortController().signal);
    assert.ok(Date.now() >= moment);
  });

  test('a wait for a time ends when it is aborted', async () => {
    const abort = new AbortController();
    const waits = untilMoment(Date.now() + 3_600_000, systemClock, abort.signal);
    abort.abort(new Error('cancelled'));
    await assert.rejects(waits, /cancelled/);
  });
});

test('a time limit counts from the start of the work, and a deadline is a fixed time', () => {
  const plan = { settings: { timeoutMs: 5000 } };
  assert.equal(leftOf({ plan, known: {} }, 1000, 3000), 3000);
  const known = { beganAtMs: 1_000_000 };
  assert.equal(leftOf({ plan, known }, 1000, 1_001_000), 4000);
  // A clock that was set back gives no more.
  assert.equal(leftOf({ plan, known }, 1000, 900_000), 5000);
  const deadlineAt = new Date(1_002_000).toISOString();
  const limited = { settings: { timeoutMs: 5000, deadlineAt } };
  assert.equal(leftOf({ plan: limited, known }, 1000, 1_001_000), 1000);
});
