import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, test } from 'node:test';
import { systemClock } from '../src/clock.ts';

const LONG_MS = 1_000_000;

describe("the system's clock", () => {
  test("the system's clock has a wall clock near this machine's, and a monotonic one that never goes back", () => {
    const before = Date.now();
    const wall = systemClock.wallMs();
    assert.ok(wall >= before && wall <= Date.now());
    const first = systemClock.monotonicMs();
    assert.ok(systemClock.monotonicMs() >= first);
  });

  test("the system's clock sleeps, and no longer listens to the signal afterwards", async () => {
    const { signal } = new AbortController();
    await systemClock.sleep(1, signal);
    await systemClock.sleep(1);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  test("the system's clock wakes with the signal's reason when aborted", async () => {
    const controller = new AbortController();
    const sleeping = systemClock.sleep(LONG_MS, controller.signal);
    const reason = new Error('enough');
    controller.abort(reason);
    await assert.rejects(sleeping, reason);
  });

  test("the system's clock does not sleep if it is already aborted", async () => {
    const reason = new Error('enough');
    await assert.rejects(systemClock.sleep(LONG_MS, AbortSignal.abort(reason)), reason);
  });
});
