import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  loadOf,
  ratesBetween,
  withinBounds,
  withDirtied,
  withRates,
  withTold,
  type LoadHistory,
} from '../../src/migration/load-history.ts';
import {
  guestLoad,
  MAX_LOAD_HOURS,
  type LoadHour,
} from '../../src/protocol/public/hosts/guest-load.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const DAY_MS = 24 * HOUR_MS;
const START_MS = Date.parse('2026-03-01T10:00:00Z');

/** A guest that was seen once a minute with so many cores in each hour. */
function hoursOf(cores: readonly number[], minutes = 60): LoadHour[] {
  let hours: LoadHour[] = [];
  for (const [hour, each] of cores.entries())
    for (let minute = 0; minute < minutes; minute += 1) {
      const atMs = START_MS + hour * HOUR_MS + minute * MINUTE_MS;
      hours = withRates(hours, { cores: each }, { atMs, overMs: MINUTE_MS });
    }
  return hours;
}

describe('resource use between two looks', () => {
  const before = { of: '7 1', processorMs: 1000, readBytes: 5, writtenBytes: 10, inBytes: 100 };

  test("a guest's use is per second, and omits counters that one look could not read", () => {
    const now = { of: '7 1', processorMs: 31_000, readBytes: 5, writtenBytes: 610, outBytes: 9 };
    assert.deepEqual(ratesBetween(before, now, 60_000), {
      cores: 0.5,
      readBytesPerS: 0,
      writtenBytesPerS: 10,
    });
  });

  test("a guest's use is unknown if another process has its name", () => {
    assert.equal(ratesBetween(before, { ...before, of: '7 2' }, 1000), undefined);
  });

  test("a guest's use omits a counter that went back, since its tap was created again", () => {
    const rates = ratesBetween(before, { ...before, inBytes: 1 }, 1000);
    assert.equal(rates?.inBytesPerS, undefined);
    assert.equal(rates?.readBytesPerS, 0);
  });

  test("a guest's use omits the traffic of a port that was just plugged in", () => {
    const one = { ...before, ports: ['tap0'] };
    const two = { ...before, ports: ['tap0', 'tap1'], inBytes: 3e12 };
    assert.equal(ratesBetween(one, two, 60_000)?.inBytesPerS, undefined);
    assert.equal(ratesBetween(two, one, 60_000)?.inBytesPerS, undefined);
    assert.equal(ratesBetween(two, two, 60_000)?.inBytesPerS, 0);
  });
});

describe('the hours of a guest', () => {
  test('the hours of a guest are means over the observed time', () => {
    let hours = withRates([], { cores: 1 }, { atMs: START_MS, overMs: 60_000 });
    hours = withRates(hours, { cores: 4 }, { atMs: START_MS + 1, overMs: 30_000 });
    assert.deepEqual(hours, [{ from: '2026-03-01T10:00:00.000Z', overMs: 90_000, cores: 2 }]);
  });

  test('the hours of a guest include the busiest, the quietest and the current one', () => {
    const hours = hoursOf([1, 3, 0.5, 2]);
    const now = { cores: 1.5, at: new Date(START_MS).toISOString(), overMs: 60_000 };
    const load = loadOf(hours, now);
    assert.equal(load.busiest?.from, '2026-03-01T11:00:00.000Z');
    assert.equal(load.quietest?.from, '2026-03-01T12:00:00.000Z');
    assert.equal(load.now, now);
    assert.equal(load.hours.length, 4);
  });

  test('an hour seen for a few minutes is neither the busiest nor the quietest', () => {
    const { busiest, quietest, hours } = loadOf(hoursOf([1, 3], 9), undefined);
    assert.deepEqual([busiest, quietest, hours.length], [undefined, undefined, 2]);
  });

  test('the hours of a guest stay in place if the clock was ahead for one look, or was set back', () => {
    const ahead = withRates(
      hoursOf([1, 1]),
      { cores: 9 },
      { atMs: START_MS + 3650 * DAY_MS, overMs: 60_000 },
    );
    assert.equal(ahead.length, 3);
    const back = withRates(ahead, { cores: 5 }, { atMs: START_MS - DAY_MS, overMs: 60_000 });
    assert.deepEqual(
      back.map(({ cores }) => cores),
      [5, 1, 1, 9],
    );
  });

  test('the hours of a guest still cover the last week after a look with a clock that was ahead', () => {
    let hours: LoadHour[] = withRates(
      [],
      { cores: 9 },
      { atMs: START_MS + 3650 * DAY_MS, overMs: 60_000 },
    );
    for (let at = 0; at < 16 * 24; at += 1)
      hours = withRates(hours, { cores: 1 }, { atMs: START_MS + at * HOUR_MS, overMs: HOUR_MS });
    assert.equal(hours.length, MAX_LOAD_HOURS);
    assert.ok(hours.every(({ cores }) => cores === 1));
    assert.equal(hours.at(-1)?.from, new Date(START_MS + (16 * 24 - 1) * HOUR_MS).toISOString());
  });

  test('the hours of a guest cover at most a week, each at most an hour, whatever is seen', () => {
    const look = fc.record({
      atMs: fc.integer({ min: START_MS, max: START_MS + 20 * DAY_MS }),
      overMs: fc.integer({ min: 1, max: HOUR_MS }),
      cores: fc.double({ min: 0, max: 1000, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(look, { maxLength: 300 }), (looks) => {
        let hours: LoadHour[] = [];
        for (const { cores, ...when } of looks) hours = withRates(hours, { cores }, when);
        const told = guestLoad.parse(loadOf(hours, undefined));
        assert.ok(told.hours.every(({ overMs }) => overMs <= HOUR_MS));
        const froms = told.hours.map(({ from }) => from);
        assert.deepEqual(froms, [...new Set(froms)].toSorted());
      }),
    );
  });
});

describe('the write rate of a guest', () => {
  const at = (ms: number) => ({ atMs: START_MS + ms, overMs: 60_000 });

  test("the write rate of a guest is the mean of an hour's looks, and is kept while the hour continues", () => {
    let hours = withRates([], { cores: 1 }, at(0));
    hours = withDirtied(hours, 100, START_MS);
    hours = withDirtied(hours, 200, START_MS + 1000);
    hours = withRates(hours, { cores: 3 }, at(60_000));
    assert.deepEqual(
      hours.map(({ cores, dirtyBytesPerS, dirtyLooks }) => [cores, dirtyBytesPerS, dirtyLooks]),
      [[2, 150, 2]],
    );
    const next = withRates(hours, { cores: 1 }, at(HOUR_MS));
    assert.deepEqual(
      next.map(({ dirtyBytesPerS }) => dirtyBytesPerS),
      [150, undefined],
    );
    guestLoad.parse(loadOf(next, undefined));
  });

  test('the write rate never covers an hour without a sighting of the guest', () => {
    const hours = withRates([], { cores: 1 }, at(0));
    assert.deepEqual(withDirtied(hours, 100, START_MS + HOUR_MS), hours);
    assert.deepEqual(withDirtied([], 100, START_MS), []);
  });
});

describe('load history from the source host', () => {
  const nowMs = START_MS + 5 * HOUR_MS + MINUTE_MS;
  const hour = (at: number, cores: number): LoadHour => ({
    from: new Date(START_MS + at * HOUR_MS).toISOString(),
    overMs: HOUR_MS,
    cores,
  });
  const coresOf = (hours: readonly LoadHour[]) => hours.map(({ cores }) => cores);

  test("the source's hours are listed next to the local ones, oldest first, and change none of them", () => {
    const own = [hour(1, 1), hour(5, 1)];
    const all = withTold(own, [hour(4, 9), hour(1, 9), hour(0, 9)], nowMs);
    assert.deepEqual(coresOf(all), [9, 1, 9, 1]);
  });

  test("the source's hours are finished hours of the last week, each once, in the local format", () => {
    const { from, ...rest } = hour(3, 7);
    const told = [
      hour(2, 3),
      hour(2, 4),
      hour(5, 9),
      hour(6, 9),
      hour(-163, 9),
      { from: from.replace('Z', '+00:00'), ...rest },
      { from: 'soon', ...rest },
    ];
    assert.deepEqual(coresOf(withTold([], told, nowMs)), [3]);
  });

  test("the source's hours never create hours that a host would not keep", () => {
    const anyHour = fc.record({
      from: fc.oneof(
        fc.integer({ min: -400, max: 400 }).map((at) => hour(at, 1).from),
        fc.string(),
      ),
      overMs: fc.nat(),
      cores: fc.double({ min: 0, max: 1e6, noNaN: true }),
    });
    const anyHours = fc.array(anyHour, { maxLength: MAX_LOAD_HOURS });
    fc.assert(
      fc.property(anyHours, fc.nat(10), (told, count) => {
        const own = hoursOf(Array.from({ length: count }, () => 1));
        const all = withTold(own, told, nowMs);
        const froms = all.map(({ from }) => from);
        assert.deepEqual(froms, [...new Set(froms)].toSorted());
        assert.ok(all.length <= MAX_LOAD_HOURS);
        for (const each of own) assert.ok(all.includes(each));
      }),
    );
  });
});

describe('load history kept by a host', () => {
  const week = (): LoadHour[] =>
    hoursOf(
      Array.from({ length: 200 }, () => 1),
      1,
    );

  test('a host keeps a week of each guest, and nothing of one that has been gone for a week', () => {
    const hours = week();
    assert.equal(hours.length, 168);
    const kept = withinBounds(new Map([['web1', hours]]), START_MS + 200 * HOUR_MS);
    assert.equal(kept.get('web1')?.length, 167);
    assert.equal(withinBounds(kept, START_MS + 40 * DAY_MS).size, 0);
  });

  test('a host keeps less of each guest if there are many, and drops the guest seen longest ago first', () => {
    const hours = week();
    const old = hours.slice(0, 100);
    const many: LoadHistory = new Map(
      Array.from({ length: 5000 }, (_none, at) => [`g${at}`, at < 1000 ? old : hours] as const),
    );
    const kept = withinBounds(many, START_MS + 200 * HOUR_MS);
    const all = [...kept.values()].reduce((sum, each) => sum + each.length, 0);
    assert.ok(all <= 40_000 && kept.size === 4096, `${all} hours of ${kept.size} guests`);
    assert.equal(kept.has('g4999'), true);
    assert.equal(kept.get('g4999')?.at(-1), hours.at(-1));
  });
});
