import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Figures } from '../../../src/disks/move/figures.ts';

const GIB = 1024 ** 3;

describe('the figures of a disk’s move', () => {
  test('the figures have the rate and the remaining time once there are two looks', () => {
    const figures = new Figures();
    assert.equal(figures.measure(0, 10 * GIB, 1000), true);
    assert.equal(figures.etaMs, undefined);
    assert.equal(figures.measure(GIB, 10 * GIB, 2000), true);
    assert.equal(figures.rate, GIB);
    assert.equal(figures.etaMs, 9000);
  });

  test('a look without progress does not count', () => {
    const figures = new Figures();
    figures.measure(GIB, 10 * GIB, 1000);
    assert.equal(figures.measure(2 * GIB, 10 * GIB, 1001), false);
    assert.equal(figures.measure(0, 0, 5000), false);
    assert.deepEqual([figures.copiedBytes, figures.totalBytes], [GIB, 10 * GIB]);
  });

  test('a copy counts as nearly complete when little is left, or after a whole pass', () => {
    const figures = new Figures();
    assert.equal(figures.nearly, false);
    figures.measure(GIB, 10 * GIB, 1000);
    assert.equal(figures.nearly, false);
    // The guest writes as fast as is copied.
    figures.measure(10 * GIB, 19 * GIB, 2000);
    assert.equal(figures.nearly, true);
    const other = new Figures();
    other.measure(9.99 * GIB, 10 * GIB, 1000);
    assert.equal(other.nearly, true);
  });
});
