import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { effectsOf, type Course } from '../../../src/migration/prediction/effects.ts';
import { predict } from '../../../src/migration/prediction/predict.ts';
import { anyFacts } from './samples.ts';

const MIB = 1024 ** 2;
const COURSE: Course = {
  load: {
    memoryBytes: 1000 * MIB,
    curve: [],
    passMs: 80_000,
    passBytes: 800 * MIB,
    contentBytes: 800 * MIB,
    againMsPerByte: 1,
    againBytesPerByte: 1,
  },
  rounds: {
    ends: 'precopy',
    rounds: 3,
    bytes: 900 * MIB,
    memoryMs: 100_000,
    finalMs: 100,
    lastMs: 100,
    lastDirtied: 0,
    steps: [],
  },
  downtimeMs: 200,
};
const FACTS = { memoryBytes: 1000 * MIB, memoryPath: 'plain' } as const;
const throttled = (atMs: number, from: number, to: number) => {
  const change = { of: 'throttlePercent', from, to } as const;
  return { round: 2, atMs, what: 'throttle', rule: 'stalled', why: 'so', change } as const;
};

describe('costs of a migration', () => {
  test('the cost to a guest that is not throttled is only its downtime', () => {
    assert.deepEqual(effectsOf(FACTS, COURSE).guest, { lostMs: 200 });
  });

  test('the cost to a throttled guest is its throttled share until that changes', () => {
    const steps = [throttled(40_000, 0, 20), throttled(60_000, 20, 50), throttled(80_000, 50, 0)];
    const { guest } = effectsOf(FACTS, { ...COURSE, rounds: { ...COURSE.rounds, steps } });
    assert.deepEqual(guest, { throttlePercent: 50, lostMs: 4000 + 10_000 + 200 });
  });

  test('the cost to a guest in post-copy is three quarters of its work until the last page arrives', () => {
    const rounds = { ...COURSE.rounds, ends: 'postcopy', lateMs: 10_000 } as const;
    assert.deepEqual(effectsOf(FACTS, { ...COURSE, rounds }).guest, { lostMs: 7700 });
  });

  test('the cost to the link is a share while memory moves, and only the time if the link is unknown', () => {
    const link = { rate: 18 * MIB, how: 'measured' } as const;
    assert.deepEqual(effectsOf({ ...FACTS, link }, COURSE).link, { share: 0.5, forMs: 100_000 });
    assert.deepEqual(effectsOf(FACTS, COURSE).link, { forMs: 100_000 });
  });

  test('the cost to the hosts is processor time for everything sent, and room for the guest', () => {
    const { hosts } = effectsOf(FACTS, COURSE);
    assert.deepEqual(hosts, {
      processorMs: Math.round(((800 + 100) * MIB * 3) / 1e6),
      memoryBytes: 1000 * MIB,
    });
  });

  test('the cost is reported for each plan that may end, and for no other', () => {
    fc.assert(
      fc.property(anyFacts, (each) => {
        const { effects, steering } = predict(each);
        const mayEnd = steering?.ends === 'precopy' || steering?.ends === 'postcopy';
        assert.equal(effects !== undefined, mayEnd);
        if (effects === undefined) return;
        assert.ok((effects.link.share ?? 0) <= 1 && effects.guest.lostMs >= 0);
      }),
      { numRuns: 20 },
    );
  });
});
