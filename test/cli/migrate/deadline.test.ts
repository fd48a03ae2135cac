import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { windowOf } from '../../../src/cli/migrate/deadline.ts';

const at = (day: number, hours: number, minutes = 0): number =>
  new Date(2026, 4, day, hours, minutes).getTime();

describe('a window', () => {
  test('an open window begins now, and a closed one begins next time', () => {
    const now = at(1, 3);
    assert.deepEqual(windowOf('01:00-05:00', now), { fromMs: now, untilMs: at(1, 5) });
    assert.deepEqual(windowOf('05:00-06:30', now), { fromMs: at(1, 5), untilMs: at(1, 6, 30) });
    assert.deepEqual(windowOf('01:00-02:00', now), { fromMs: at(2, 1), untilMs: at(2, 2) });
  });

  test('a window may extend over midnight', () => {
    assert.deepEqual(windowOf('22:00-02:00', at(1, 12)), { fromMs: at(1, 22), untilMs: at(2, 2) });
    assert.deepEqual(windowOf('22:00-02:00', at(1, 1)), { fromMs: at(1, 1), untilMs: at(1, 2) });
  });

  test('a window never begins in the past or ends before it begins', () => {
    const hour = fc.nat(23);
    fc.assert(
      fc.property(hour, hour, fc.nat(86_400_000), (from, until, later) => {
        fc.pre(from !== until);
        const now = at(1, 0) + later;
        const { fromMs, untilMs } = windowOf(`${from}:00-${until}:00`, now);
        assert.ok(now <= fromMs && fromMs < untilMs && untilMs - now < 2 * 86_400_000);
      }),
    );
  });

  test('a window consists of two different times of day', () => {
    for (const text of [
      '',
      '01:00',
      '01:00-',
      '01:00-25:00',
      '1h-2h',
      '01:00-01:00',
      '1:00-2:00-3:00',
    ]) {
      assert.throws(() => windowOf(text, at(1, 0)), /--window.*no window/);
    }
  });
});
