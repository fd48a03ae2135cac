import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { neverQuiet, whyIdle, whyQuiet } from '../../../src/migration/steering/quiet-guest.ts';

const MIB = 1024 ** 2;
const busy = Array.from({ length: 5 }, () => 40 * MIB);

describe('a guest', () => {
  test('that writes next to nothing is quiet at the first look', () => {
    assert.match(whyQuiet([MIB / 2]) ?? '', /quiet/);
  });

  test('is not quiet by a look or two: nobody knows yet what is little for it', () => {
    assert.equal(whyQuiet([40 * MIB, 10 * MIB]), undefined);
    assert.equal(whyQuiet([]), undefined);
  });

  test('is quiet once it writes half of what it writes otherwise', () => {
    assert.match(whyQuiet([...busy, 20 * MIB]) ?? '', /otherwise/);
    assert.equal(whyQuiet([...busy, 21 * MIB]), undefined);
  });

  test('is quiet at the first look by what its host has kept of the hours before', () => {
    const hours = (count: number) =>
      Array.from({ length: count }, (_none, at) => ({
        from: `2026-03-01T0${at}:00:00.000Z`,
        overMs: 3_600_000,
        cores: 1,
        dirtyBytesPerS: 40 * MIB,
        dirtyLooks: 1,
      }));
    assert.match(whyQuiet([20 * MIB], hours(5)) ?? '', /20 MiB\/s, and 40 MiB\/s otherwise/);
    assert.equal(whyQuiet([21 * MIB], hours(5)), undefined);
    assert.equal(whyQuiet([20 * MIB], hours(4)), undefined, 'too few hours');
    const unlooked = hours(5).map(({ from, overMs, cores }) => ({ from, overMs, cores }));
    assert.equal(whyQuiet([20 * MIB], unlooked), undefined);
  });

  test('that is quiet would be so writing less', () => {
    const rate = fc.nat(1000 * MIB);
    fc.assert(
      fc.property(fc.array(rate, { maxLength: 20 }), rate, rate, (before, one, other) => {
        const [less, more] = [Math.min(one, other), Math.max(one, other)];
        if (whyQuiet([...before, more]) !== undefined)
          assert.notEqual(whyQuiet([...before, less]), undefined);
      }),
    );
  });

  test('that was never quiet is reported with what it wrote', () => {
    assert.match(neverQuiet(60_000, [2 * MIB, 40 * MIB]), /within 1.*wrote .* to /);
    assert.match(neverQuiet(60_000, []), /could not be measured/);
  });
});

describe('a guest of which nobody knows what it writes', () => {
  const hours = (cores: number, count = 6) =>
    Array.from({ length: count }, (_none, at) => ({
      from: `2026-03-01T0${at}:00:00.000Z`,
      overMs: 3_600_000,
      cores,
      writtenBytesPerS: 10 * MIB,
    }));

  test('is quiet where it is next to idle, also without a history', () => {
    assert.match(whyIdle({ cores: 0.05, writtenBytesPerS: 0 }, []) ?? '', /by its load/);
    assert.equal(whyIdle({ cores: 0.06, writtenBytesPerS: 0 }, []), undefined);
  });

  test('is quiet once it does half of what it did in the hours before', () => {
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

  test('is not said to be quiet where nobody knows what it writes to storage either', () => {
    assert.equal(whyIdle({ cores: 0 }, []), undefined);
    assert.equal(whyIdle({ cores: 0 }, hours(2)), undefined);
  });

  test('is not quiet while it writes to storage as ever', () => {
    assert.equal(whyIdle({ cores: 0.1, writtenBytesPerS: 6 * MIB }, hours(2)), undefined);
    assert.notEqual(whyIdle({ cores: 0.1, writtenBytesPerS: 5 * MIB }, hours(2)), undefined);
  });
});
