import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  beginsAtMs,
  capAt,
  capOver,
  withTimetable,
  type Timetable,
} from '../../../src/migration/steering/timetable.ts';

const MB = 1_000_000;
const A = { host: 'a' };
/** By day little, and less at noon; half of it at weekends. */
const TIMETABLE: Timetable = [
  { hours: 'mon,tue,wed,thu,fri 08:00-18:00', bytesPerS: 20 * MB },
  { hours: 'mon,tue,wed,thu,fri 12:00-13:00', bytesPerS: 10 * MB },
  { hours: 'sat,sun 22:00-06:00', bytesPerS: 50 * MB },
];
/** In the time zone of this process, as the hours are. 2 November 2026 is a Monday. */
const at = (day: number, hour: number, minute = 0): number =>
  new Date(2026, 10, day, hour, minute).getTime();

describe("a host's timetable", () => {
  test("a host's timetable gives the lowest cap of the current hours, and none outside of them", () => {
    assert.equal(capAt(TIMETABLE, at(2, 7, 59)), undefined);
    assert.equal(capAt(TIMETABLE, at(2, 8)), 20 * MB);
    assert.equal(capAt(TIMETABLE, at(2, 12, 30)), 10 * MB);
    assert.equal(capAt(TIMETABLE, at(2, 17, 59)), 20 * MB);
    assert.equal(capAt(TIMETABLE, at(2, 18)), undefined);
    assert.equal(capAt(TIMETABLE, at(7, 12)), undefined);
    assert.equal(capAt([], at(2, 12)), undefined);
  });

  test('a whole day of a timetable ends at 24:00', () => {
    const saturday = [{ hours: 'sat 00:00-24:00', bytesPerS: MB }];
    assert.deepEqual(
      [at(6, 23, 59), at(7, 0), at(7, 23, 59), at(8, 0)].map((each) => capAt(saturday, each)),
      [undefined, MB, MB, undefined],
    );
  });

  test('timetable hours over midnight belong to their first day', () => {
    assert.equal(capAt(TIMETABLE, at(7, 23)), 50 * MB);
    assert.equal(capAt(TIMETABLE, at(9, 5)), 50 * MB, 'the night after Sunday');
    assert.equal(capAt(TIMETABLE, at(7, 5)), undefined, 'the night after Friday');
  });

  test("the lower of a migration's cap and the host's counts, and no other setting changes", () => {
    const whole = fc.record({
      maxBandwidth: fc.option(fc.integer({ min: 1024, max: 100 * MB }), { nil: undefined }),
      mode: fc.constant('hybrid'),
    });
    fc.assert(
      fc.property(whole, fc.integer({ min: 0, max: 14 * 86_400_000 }), (settings, afterMs) => {
        const nowMs = at(2, 0) + afterMs;
        const cap = capAt(TIMETABLE, nowMs) ?? Infinity;
        const { maxBandwidth: own = Infinity } = settings;
        const { maxBandwidth = Infinity, ...rest } = withTimetable(settings, TIMETABLE, nowMs);
        assert.equal(maxBandwidth, Math.min(cap, own));
        assert.deepEqual(rest, { mode: 'hybrid' });
      }),
    );
  });
});

describe('the timetable in a plan', () => {
  test('a plan does not mention the timetable if nothing is capped while the migration runs', () => {
    assert.equal(capOver([], at(2, 9), A)(60_000), undefined);
    assert.equal(capOver(TIMETABLE, at(2, 6), A)(60_000), undefined);
    assert.equal(capOver(TIMETABLE, at(2, 9), { ...A, own: MB })(60_000), undefined, 'its own');
  });

  test('a plan reports the current cap, and that it will change', () => {
    const now = capOver(TIMETABLE, at(2, 9), A)(60_000);
    assert.match(
      now?.words ?? '',
      /^as it begins a lets it send 19\.1 MiB\/s by the time of day \(limits\.bandwidth\)$/,
    );
    assert.equal(now?.changes, false);
    const later = capOver(TIMETABLE, at(2, 11, 58), A)(180_000);
    assert.match(
      later?.words ?? '',
      /19\.1 MiB\/s .*, and 9\.54 MiB\/s from 12:00 on: the prediction/,
    );
    const free = capOver(TIMETABLE, at(2, 17, 59), A)(180_000);
    assert.match(free?.words ?? '', /, and as much as the link carries from 18:00 on/);
    assert.deepEqual([later?.changes, free?.changes], [true, true]);
  });

  test('a plan of a migration that waits for its start time begins then', () => {
    const notBefore = new Date(at(2, 9)).toISOString();
    assert.equal(beginsAtMs({ notBefore }, at(2, 6)), at(2, 9));
    assert.equal(beginsAtMs({ notBefore }, at(2, 10)), at(2, 10));
    assert.equal(beginsAtMs({}, at(2, 10)), at(2, 10));
    assert.equal(beginsAtMs({ notBefore, noticeMs: 60_000 }, at(2, 9)), at(2, 9, 1));
  });
});
