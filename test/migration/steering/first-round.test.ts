import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  firstRoundOf,
  isLastMoment,
  mayBeLate,
  neededFor,
  sinceSent,
} from '../../../src/migration/steering/first-round.ts';
import { steer } from '../../../src/migration/steering/steering.ts';
import { STEERING_MEASURES, STRATEGIES } from '../../../src/protocol/public/steering.ts';
import { sampleOf } from '../direct/samples.ts';
import { play, writesOf } from './simulated.ts';
import type { Course } from './simulated.ts';

const MIB = 1024 ** 2;
const LINK = 10 * MIB;
/** One pass takes 77 s. */
const COURSE: Course = {
  memoryBytes: 768 * MIB,
  workingSetBytes: 614 * MIB,
  dirtyRate: 3 * LINK,
  linkRate: LINK,
  maxDowntimeMs: 300,
  timeoutMs: 120_000,
  levers: STEERING_MEASURES,
};

describe('post-copy begins in the first round', () => {
  test('where its end would be too late for the time allowed, under each strategy that may take it', () => {
    for (const name of ['standard', 'budget'] as const) {
      const { ends, rounds, decisions } = play(STRATEGIES[name], COURSE);
      assert.deepEqual([ends, rounds, decisions[0]?.rule], ['postcopy', 1, 'time-left'], name);
      assert.match(decisions[0]?.why ?? '', /are left; the first round takes .* more, and what is/);
    }
  });

  test('not with enough time, nor where even post-copy at once would come too late', () => {
    for (const timeoutMs of [600_000, 60_000]) {
      const { rounds } = play(STRATEGIES.standard, { ...COURSE, timeoutMs });
      assert.notEqual(rounds, 1, `${timeoutMs}`);
    }
  });

  test('not where what is written fits into the downtime, however short the time', () => {
    const quiet = { ...COURSE, workingSetBytes: 2 * MIB, timeoutMs: 79_000 };
    assert.notEqual(play(STRATEGIES.standard, quiet).rounds, 1);
  });

  test('never where a strategy has no post-copy, or nobody has looked at the pages', () => {
    assert.notEqual(play(STRATEGIES['no-postcopy'], COURSE).ends, 'postcopy');
    const blind = { ...writesOf(COURSE), curve: [] };
    assert.notEqual(play(STRATEGIES.standard, COURSE, () => 1, blind).rounds, 1);
  });

  test('only once, and only then, the end of the round would be too late', () => {
    const shares = fc.double({ min: 0.05, max: 0.95, noNaN: true });
    const left = fc.integer({ min: 0, max: 400_000 });
    fc.assert(
      fc.property(shares, left, (share, leftMs) => {
        const { memoryBytes: totalBytes, maxDowntimeMs } = COURSE;
        const sent = Math.round(share * totalBytes);
        const totalMs = Math.round((sent * 1000) / LINK);
        const remainingBytes = totalBytes - sent;
        const sample = sampleOf({
          totalBytes,
          remainingBytes,
          transferredBytes: sent,
          totalMs,
          rate: LINK,
          round: 1,
        });
        const writes = writesOf(COURSE);
        const ahead = firstRoundOf(sample, writes, LINK);
        assert.ok(ahead !== undefined);
        const { restMs, againNowMs, againThenMs } = ahead;
        const isDue = restMs + againNowMs <= leftMs && restMs + neededFor(againThenMs) > leftMs;
        assert.equal(isLastMoment(ahead, { leftMs, downtimeMs: maxDowntimeMs }), isDue);
        const settings = { mode: 'hybrid', maxDowntimeMs } as const;
        const view = { sample, trace: undefined, levers: STEERING_MEASURES, settings };
        const decision = steer(STRATEGIES.standard, { ...view, leftMs, writes });
        assert.equal(decision?.rule, isDue ? 'time-left' : undefined);
      }),
    );
  });
});

test('a look is made for long where all of memory might be written, and no time would be left for that', () => {
  assert.equal(mayBeLate(60_000, 600_000), false);
  assert.equal(mayBeLate(77_000, 120_000), true);
});

test('nothing is known of a round that has just begun, or of one that is over before a look is', () => {
  const sample = sampleOf({ totalBytes: MIB, remainingBytes: MIB, totalMs: 0, round: 1 });
  assert.equal(firstRoundOf(sample, writesOf(COURSE), LINK), undefined);
  const short = { ...sample, remainingBytes: 0, totalMs: 100 };
  assert.equal(firstRoundOf(short, writesOf(COURSE), LINK), undefined);
});

test('what is written since it was sent is less than all that is written, and grows with the time', () => {
  const { curve } = writesOf(COURSE);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), (ms) => {
      const once = sinceSent(curve, ms, COURSE.memoryBytes);
      assert.ok(once <= COURSE.workingSetBytes);
      assert.ok(once <= sinceSent(curve, ms * 2, COURSE.memoryBytes));
    }),
  );
});
