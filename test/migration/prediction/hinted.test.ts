import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { leftOutBytes } from '../../../src/migration/prediction/hinted.ts';

const MIB = 1024 ** 2;
const guest = { freeBytes: 400 * MIB, memoryBytes: 1000 * MIB, zero: 0.25, rate: 0 };

describe('hinted free pages', () => {
  test('hinted free pages are mostly omitted, except zeros, which cost nothing', () => {
    // Of 400 free MiB 250 are zeros; of the others three quarters lie in large blocks.
    assert.equal(leftOutBytes(guest), 150 * 0.75 * MIB);
  });

  test('hinted free pages are sent if everything is sent before the first hint, or none holds data', () => {
    assert.equal(leftOutBytes({ ...guest, rate: 1e12 }), 0);
    assert.equal(leftOutBytes({ ...guest, freeBytes: 0 }), 0);
    assert.equal(leftOutBytes({ ...guest, zero: 0.5 }), 0);
    assert.equal(leftOutBytes({ ...guest, zero: 1 }), 0);
  });

  test('more hinted pages are omitted the more memory is free and the slower it is sent', () => {
    const bytes = fc.integer({ min: 0, max: 4096 * MIB });
    const rate = fc.integer({ min: 1, max: 1_250_000_000 });
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(bytes, bytes, rate, rate, share, (free, other, one, two, zero) => {
        const of = (freeBytes: number, speed: number) =>
          leftOutBytes({ freeBytes, memoryBytes: 4096 * MIB, zero, rate: speed });
        const [less, more] = [Math.min(free, other), Math.max(free, other)];
        const [slow, fast] = [Math.min(one, two), Math.max(one, two)];
        assert.ok(of(less, one) >= 0 && of(more, one) <= 4096 * MIB * (1 - zero));
        assert.ok(of(more, one) >= of(less, one));
        assert.ok(of(free, slow) >= of(free, fast));
      }),
    );
  });
});
