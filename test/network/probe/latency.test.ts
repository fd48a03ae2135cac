import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Waits } from '../../../src/network/probe/latency.ts';

/** A question each 10 ms, and answers after so long, one at a time. */
function waitsOf(all: readonly number[]): { waits: Waits; endMs: number } {
  const waits = new Waits();
  let now = 0;
  for (const ms of all) {
    waits.asked(now);
    waits.answered((now += ms));
  }
  return { waits, endMs: now };
}

describe('the latency of answers', () => {
  test('the latency of answers is reported as its median and its 99th percentile', () => {
    const { waits } = waitsOf([...Array<number>(98).fill(2), 40, 50]);
    const { during } = waits.read({});
    assert.deepEqual(during, { count: 100, p50Ms: 2, p99Ms: 40 });
    assert.deepEqual(waits.all(), during);
    assert.equal(new Waits().all(), undefined);
  });

  test('the latency runs from the first unanswered question, however often it was repeated', () => {
    const waits = new Waits();
    waits.asked(0);
    waits.answered(2);
    for (let now = 10; now < 510; now += 10) waits.asked(now);
    waits.answered(510);
    waits.asked(510);
    waits.answered(512);
    const { during } = waits.read({});
    assert.equal(during?.p99Ms, 500);
    // The fifty questions of the silence are one wait.
    assert.equal(during?.p50Ms, 52);
  });

  test('the latency is correct if answers take longer than the time between two questions', () => {
    const waits = new Waits();
    for (let now = 0; now < 4000; now += 5) {
      if (now % 10 === 0) waits.asked(now);
      if (now >= 25 && (now - 25) % 10 === 0) waits.answered(now);
    }
    const { during } = waits.read({});
    assert.deepEqual([during?.p50Ms, during?.p99Ms], [25, 25]);
  });

  test('the latency counts the answer that ended the switch once, as one of the move', () => {
    const times = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 60 });
    const moment = fc.integer({ min: 0, max: 12_000 });
    fc.assert(
      fc.property(times, moment, moment, (all, one, other) => {
        const { waits } = waitsOf(all);
        const moments = { memoryFromMs: Math.min(one, other), ranMs: Math.max(one, other) };
        const { before, during, after } = waits.read(moments);
        const counts = [before, during, after].map((each) => each?.count ?? 0);
        assert.equal(
          counts.reduce((sum, each) => sum + each, 0),
          all.length,
        );
      }),
    );
    const { waits } = waitsOf([5, 5, 100, 5]);
    const { before, during, after } = waits.read({ memoryFromMs: 6, ranMs: 109 });
    assert.deepEqual([before?.p99Ms, during?.p99Ms, after?.p99Ms], [5, 100, 5]);
  });
});
