import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, test } from 'node:test';
import { withDeadline } from '../src/deadline.ts';
import { GodwitError } from '../src/errors.ts';

const forever = (): Promise<never> => new Promise(() => {});

describe('a deadline', () => {
  test('a deadline lets work that ends in time end', async () => {
    assert.equal(await withDeadline('it', 1000, undefined, async () => 42), 42);
    const failure = new Error('its own');
    const failing = withDeadline('it', 1000, undefined, () => Promise.reject(failure));
    await assert.rejects(failing, failure);
  });

  test('a deadline ends work that takes longer, and names it', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let seen: AbortSignal | undefined;
    const late = withDeadline('the step', 500, undefined, (signal) => {
      seen = signal;
      return forever();
    });
    t.mock.timers.tick(499);
    assert.equal(seen?.aborted, false);
    t.mock.timers.tick(1);
    await assert.rejects(late, (error) => {
      assert.ok(error instanceof GodwitError);
      assert.equal(error.code, 'GODWIT_DEADLINE');
      assert.equal(error.message, 'the step took longer than 500 ms');
      return true;
    });
    assert.equal(seen?.aborted, true);
  });

  test('a deadline is reported to its caller, even if the work ends on the signal at once', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const work = Promise.withResolvers<never>();
    const late = withDeadline('the step', 500, undefined, (signal) => {
      signal.addEventListener('abort', () => work.reject(new Error('its own words')));
      return work.promise;
    });
    t.mock.timers.tick(500);
    await assert.rejects(late, /the step took longer than 500 ms/);
  });

  test('a deadline passes on the outer signal, with its reason', async () => {
    const outer = new AbortController();
    let seen: AbortSignal | undefined;
    const work = withDeadline('it', 1000, outer.signal, (signal) => {
      seen = signal;
      return forever();
    });
    const reason = new Error('cancelled');
    outer.abort(reason);
    await assert.rejects(work, reason);
    assert.equal(seen?.reason, reason);
  });

  test('a deadline does not start work that is already aborted', async () => {
    const reason = new Error('cancelled');
    let begun = false;
    const work = withDeadline('it', 1000, AbortSignal.abort(reason), async () => {
      begun = true;
    });
    await assert.rejects(work, reason);
    assert.equal(begun, false);
  });

  test('a deadline leaves no listener and no timer behind', async () => {
    const { signal } = new AbortController();
    let inner: AbortSignal | undefined;
    await withDeadline('it', 1_000_000, signal, async (own) => {
      inner = own;
    });
    assert.equal(inner?.aborted, true, 'what the work began on it ends with the work');
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  test('a deadline ends the signals of all finished work with one reason, made once', async () => {
    const signals: AbortSignal[] = [];
    for (let call = 0; call < 2; call += 1)
      await withDeadline('it', 1000, undefined, async (own) => signals.push(own));
    const [first, second] = signals;
    assert.ok(first?.aborted);
    assert.equal(first.reason, second?.reason);
    assert.match(String(first.reason), /has ended/);
  });

  test("a deadline swallows the work's late failure", async () => {
    const outer = new AbortController();
    const inner = Promise.withResolvers<never>();
    const work = withDeadline('it', 1000, outer.signal, () => inner.promise);
    outer.abort(new Error('cancelled'));
    await assert.rejects(work, /cancelled/);
    inner.reject(new Error('late'));
    // An unhandled rejection would fail this file.
    await new Promise((resolve) => setImmediate(resolve));
  });
});
