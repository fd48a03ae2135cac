import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  stillness,
  stillWords,
  judgeStandstill,
  NO_STALLS,
  NOTICED_MS,
  stallsAfter,
  stallsUntil,
  STUCK_MS,
  type Standstill,
  type StallNews,
} from '../../../src/migration/steering/standstill.ts';

const look: fc.Arbitrary<Standstill> = fc.record({
  stillMs: fc.nat(60_000),
  answers: fc.boolean(),
  wasSilent: fc.boolean(),
  otherAnswers: fc.boolean(),
});

describe('a stalled stream', () => {
  test('a stalled stream is left alone for a moment, and if no other path is open', () => {
    fc.assert(
      fc.property(look, (seen) => {
        const open = seen.answers || seen.otherAnswers;
        if (seen.stillMs < NOTICED_MS || !open) assert.equal(judgeStandstill(seen), 'wait');
      }),
    );
  });

  test('a stalled stream changes from a dead path to another, and does not wait for TCP once its path is back', () => {
    const dead = { stillMs: 2000, answers: false, wasSilent: true, otherAnswers: false };
    assert.equal(judgeStandstill(dead), 'wait');
    assert.equal(judgeStandstill({ ...dead, otherAnswers: true }), 'recover');
    assert.equal(judgeStandstill({ ...dead, answers: true }), 'recover');
  });

  test('a stalled stream is finally resumed even if no link failure was seen: a slow link is given time', () => {
    const slow = { stillMs: 5000, answers: true, wasSilent: false, otherAnswers: false };
    assert.equal(judgeStandstill(slow), 'wait');
    assert.equal(judgeStandstill({ ...slow, stillMs: STUCK_MS }), 'recover');
  });
});

describe('the stall time', () => {
  const report = (...reported: [number, StallNews][]) =>
    reported.reduce((stalls, [at, news]) => stallsAfter(stalls, news, at), NO_STALLS);

  test('a stall lasts from the last byte before it to the first after it, however often it was reported', () => {
    const seen = report(
      [5000, { type: 'still', forMs: 1500 }],
      [5100, { type: 'broken' }],
      [5900, { type: 'broken' }],
      [6500, { type: 'flows', afterMs: 0 }],
      [6600, { type: 'flows', afterMs: 0 }],
    );
    assert.deepEqual(seen, { count: 1, totalMs: 3000, since: undefined });
  });

  test('the stall time includes stalls that healed by themselves, and those still open at the end', () => {
    const seen = report([5000, { type: 'flows', afterMs: 1200 }], [9000, { type: 'broken' }]);
    assert.deepEqual(stallsUntil(seen, 9300), { count: 2, totalMs: 1500, since: undefined });
    assert.deepEqual(stallsUntil(NO_STALLS, 100), NO_STALLS);
  });

  test('a stall is never longer than its reporting interval', () => {
    const news: fc.Arbitrary<StallNews> = fc.oneof(
      fc.constant({ type: 'broken' } as const),
      fc.constant({ type: 'flows', afterMs: 0 } as const),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(1000), news)), (reported) => {
        let at = 0;
        let stalls = NO_STALLS;
        for (const [ms, each] of reported) stalls = stallsAfter(stalls, each, (at += ms));
        assert.ok(stallsUntil(stalls, at).totalMs <= at);
      }),
    );
  });
});

describe('text for a stalled link', () => {
  const nowMs = Date.parse('2026-01-01T12:00:20.000Z');

  test('the text for a stalled link has its start and how long it is awaited', () => {
    const patient = stillness({ forMs: 20_000, timeoutMs: 45_000 }, nowMs, nowMs + 600_000);
    assert.equal(
      stillWords('b', patient),
      'the link to b has been stalled since 12:00:00 UTC; it is waited for until 12:00:45',
    );
    const over = stillness({ forMs: 20_000, timeoutMs: 45_000 }, nowMs, nowMs + 5000);
    assert.match(stillWords('b', over), /until 12:00:25$/);
    const held = stillness({ forMs: 20_000, timeoutMs: undefined }, nowMs, nowMs + 5000);
    assert.match(stillWords('b', held), /until it is back$/);
  });
});
