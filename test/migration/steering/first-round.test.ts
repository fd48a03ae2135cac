import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  firstRoundOf,
  mayBeLate,
  neededFor,
  sinceSent,
} from '../../../src/migration/steering/first-round.ts';
import { STEERING_MEASURES, STRATEGIES } from '../../../src/protocol/public/steering.ts';
import { sampleOf } from '../direct/samples.ts';
import { play, writesOf, type Course } from './simulated.ts';

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

/** Nobody has looked at its pages. */
const BLIND = { pages: 0, memoryBytes: COURSE.memoryBytes, curve: [], linkRate: 0 };

describe('early post-copy', () => {
  test('post-copy begins in the first round if its end would be too late, under each strategy that allows it', () => {
    for (const name of ['standard', 'budget'] as const) {
      const { ends, rounds, decisions } = play(STRATEGIES[name], COURSE);
      assert.deepEqual([ends, rounds, decisions[0]?.rule], ['postcopy', 1, 'time-left'], name);
      assert.match(
        decisions[0]?.why ?? '',
        /are left; the first round takes .* more, and what was written/,
      );
    }
  });

  test('post-copy does not begin early with enough time, nor if the round itself is too long', () => {
    for (const timeoutMs of [600_000, 60_000]) {
      const { rounds } = play(STRATEGIES.standard, { ...COURSE, timeoutMs });
      assert.notEqual(rounds, 1, `${timeoutMs}`);
    }
    // Where that is just soon enough, later would be worse.
    assert.equal(play(STRATEGIES.standard, { ...COURSE, timeoutMs: 80_000 }).rounds, 1);
  });

  test('post-copy does not begin early if the writes fit into the downtime, however short the time', () => {
    const quiet = { ...COURSE, workingSetBytes: 2 * MIB, timeoutMs: 79_000 };
    assert.notEqual(play(STRATEGIES.standard, quiet).rounds, 1);
  });

  test('post-copy never begins early if the strategy excludes it, or no pages were sampled', () => {
    assert.notEqual(play(STRATEGIES['no-postcopy'], COURSE).ends, 'postcopy');
    assert.notEqual(play(STRATEGIES.standard, COURSE, () => 1, BLIND).rounds, 1);
  });

  test('post-copy never begins early if the end of the round is soon enough', () => {
    const left = fc.integer({ min: 78_000, max: 300_000 });
    const rates = fc.double({ min: 0.05, max: 4, noNaN: true });
    const sets = fc.integer({ min: 20, max: 700 });
    fc.assert(
      fc.property(left, rates, sets, (timeoutMs, share, mib) => {
        const guest = { workingSetBytes: mib * MIB, dirtyRate: share * LINK };
        const course = { ...COURSE, ...guest, timeoutMs };
        const { rounds, decisions } = play(STRATEGIES.standard, course);
        if (rounds > 1) return;
        assert.equal(decisions[0]?.rule, 'time-left');
        const passMs = (course.memoryBytes / LINK) * 1000;
        const againMs =
          (sinceSent(writesOf(course).curve, passMs, course.memoryBytes) / LINK) * 1000;
        assert.ok(
          passMs + neededFor(againMs) > timeoutMs,
          'the end of the round would have been soon enough',
        );
      }),
      { numRuns: 300 },
    );
  });

  test('post-copy begins early by the remaining nonzero pages if zero pages are left', () => {
    const totalBytes = COURSE.memoryBytes;
    const half = totalBytes / 2;
    // Half of memory was sent, a quarter of it as pages, and as many zeros are left.
    const sample = sampleOf({
      totalBytes,
      remainingBytes: half,
      transferredBytes: half / 2,
      totalMs: 20_000,
      rate: LINK,
      round: 1,
    });
    const rest = (zeroShare: number) =>
      firstRoundOf(sample, { ...writesOf(COURSE), zeroShare }, LINK)?.restMs;
    assert.equal(rest(0.5), ((half / 2) * 1000) / LINK);
    assert.equal(rest(0), (half * 1000) / LINK);
    assert.equal(rest(1), 0);
  });
});

test('a long sample is taken if all of memory might be rewritten with too little time left', () => {
  assert.equal(mayBeLate(60_000, 60_000, 600_000), false);
  assert.equal(mayBeLate(77_000, 77_000, 120_000), true);
});

test('a round that has just begun, or ends before a sample, has no result', () => {
  const sample = sampleOf({ totalBytes: MIB, remainingBytes: MIB, totalMs: 0, round: 1 });
  assert.equal(firstRoundOf(sample, writesOf(COURSE), LINK), undefined);
  const short = { ...sample, remainingBytes: 0, totalMs: 100 };
  assert.equal(firstRoundOf(short, writesOf(COURSE), LINK), undefined);
});

test('rewritten pages are fewer than all written pages, and grow with time', () => {
  const { curve } = writesOf(COURSE);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), (ms) => {
      const once = sinceSent(curve, ms, COURSE.memoryBytes);
      assert.ok(once <= COURSE.workingSetBytes);
      assert.ok(once <= sinceSent(curve, ms * 2, COURSE.memoryBytes));
    }),
  );
});
