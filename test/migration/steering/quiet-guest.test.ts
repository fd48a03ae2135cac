import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { LoadHour } from '../../../src/protocol/public/hosts/guest-load.ts';
import { neverQuiet, whyIdle, whyQuiet } from '../../../src/migration/steering/quiet-guest.ts';

const MIB = 1024 ** 2;
const busy = Array.from({ length: 5 }, () => 40 * MIB);

/** Hours of which it is known what the guest wrote, or only its load. */
function hoursOf(rates: readonly (number | undefined)[]): LoadHour[] {
  return rates.map((rate, at) => ({
    from: new Date(Date.parse('2026-03-01T00:00:00Z') + at * 3_600_000).toISOString(),
    overMs: 3_600_000,
    cores: 1,
    ...(rate === undefined ? {} : { dirtyBytesPerS: rate, dirtyLooks: 1 }),
  }));
}

describe('a guest', () => {
  test('a guest that writes almost nothing is quiet at the first look', () => {
    assert.match(whyQuiet([MIB / 2]) ?? '', /quiet/);
  });

  test('a guest is not quiet after a look or two, since its usual rate is still unknown', () => {
    assert.equal(whyQuiet([40 * MIB, 10 * MIB]), undefined);
    assert.equal(whyQuiet([]), undefined);
  });

  test('a guest is quiet once it writes half of its usual rate', () => {
    assert.match(whyQuiet([...busy, 20 * MIB]) ?? '', /otherwise/);
    assert.equal(whyQuiet([...busy, 21 * MIB]), undefined);
  });

  test('a guest is quiet at the first look by the recorded rates of the hours before', () => {
    const hours = (count: number) => hoursOf(Array.from({ length: count }, () => 40 * MIB));
    assert.match(whyQuiet([20 * MIB], hours(5)) ?? '', /20 MiB\/s, and 40 MiB\/s otherwise/);
    assert.equal(whyQuiet([21 * MIB], hours(5)), undefined);
    assert.equal(whyQuiet([20 * MIB], hours(4)), undefined, 'too few hours');
    const unlooked = hours(5).map(({ from, overMs, cores }) => ({ from, overMs, cores }));
    assert.equal(whyQuiet([20 * MIB], unlooked), undefined);
  });

  test('a mostly quiet guest is compared with its quietest hours, once a day of them is recorded', () => {
    /** Busy for eight hours of each day. */
    const day = Array.from({ length: 24 }, (_none, at) => (at < 8 ? 100 : 10 + (at % 3)) * MIB);
    assert.match(whyQuiet([10 * MIB], hoursOf(day)) ?? '', /10 MiB\/s, as in .* 100 MiB\/s when/);
    assert.equal(whyQuiet([13 * MIB], hoursOf(day)), undefined, 'it has quieter hours');
    assert.equal(whyQuiet([10 * MIB], hoursOf(day.slice(0, 23))), undefined, 'too few hours');
  });

  test('a guest with the same rate all day is not quiet by its quietest hours', () => {
    const day = Array.from({ length: 48 }, (_none, at) => (40 + (at % 5)) * MIB);
    assert.equal(whyQuiet([40 * MIB], hoursOf(day)), undefined);
    assert.notEqual(whyQuiet([20 * MIB], hoursOf(day)), undefined);
  });

  test('a guest is compared only with hours whose write rate is known', () => {
    const loads = hoursOf(Array.from({ length: 100 }, () => undefined));
    assert.equal(whyQuiet([2 * MIB], loads), undefined);
    const known = hoursOf(busy);
    assert.equal(whyQuiet([20 * MIB], [...loads, ...known]), whyQuiet([20 * MIB], known));
  });

  test('a quiet guest would also be quiet with a lower write rate', () => {
    const rate = fc.nat(1000 * MIB);
    const rates = fc.array(rate, { maxLength: 60 });
    fc.assert(
      fc.property(rates, rates, rate, rate, (before, kept, one, other) => {
        const [less, more] = [Math.min(one, other), Math.max(one, other)];
        const hours = hoursOf(kept);
        if (whyQuiet([...before, more], hours) !== undefined)
          assert.notEqual(whyQuiet([...before, less], hours), undefined);
      }),
    );
  });

  test('a guest that was never quiet is reported with its write rate', () => {
    assert.match(neverQuiet(60_000, [2 * MIB, 40 * MIB]), /within 1.*wrote .* to /);
    assert.match(neverQuiet(60_000, []), /could not be measured/);
  });
});

describe('a guest with an unknown write rate', () => {
  const hours = (cores: number, count = 6) =>
    Array.from({ length: count }, (_none, at) => ({
      from: `2026-03-01T0${at}:00:00.000Z`,
      overMs: 3_600_000,
      cores,
      writtenBytesPerS: 10 * MIB,
    }));

  test('a guest with an unknown write rate is quiet if it is nearly idle, even without a history', () => {
    assert.match(whyIdle({ cores: 0.05, writtenBytesPerS: 0 }, []) ?? '', /by its load/);
    assert.equal(whyIdle({ cores: 0.06, writtenBytesPerS: 0 }, []), undefined);
  });

  test('a guest with an unknown write rate is quiet once it uses half the processor time of the hours before', () => {
    assert.match(
      whyIdle({ cores: 1, writtenBytesPerS: 0 }, hours(2)) ?? '',
      /uses 1.00 processors, and 2.00 in the/,
    );
    assert.equal(whyIdle({ cores: 1.1, writtenBytesPerS: 0 }, hours(2)), undefined);
    assert.equal(
      whyIdle({ cores: 1, writtenBytesPerS: 0 }, hours(2, 5)),
      undefined,
      'too few hours',
    );
  });

  test('a guest is not reported quiet if its writes to storage are unknown too', () => {
    assert.equal(whyIdle({ cores: 0 }, []), undefined);
    assert.equal(whyIdle({ cores: 0 }, hours(2)), undefined);
  });

  test('a guest with an unknown write rate is not quiet while it writes to storage as usual', () => {
    assert.equal(whyIdle({ cores: 0.1, writtenBytesPerS: 6 * MIB }, hours(2)), undefined);
    assert.notEqual(whyIdle({ cores: 0.1, writtenBytesPerS: 5 * MIB }, hours(2)), undefined);
  });
});
