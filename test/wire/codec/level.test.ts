import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LevelControl } from '../../../src/wire/codec/level.ts';
import {
  chooseLevel,
  FIRST_CHOICE,
  NO_COMPRESSION,
  predict,
  THIN_BYTES_PER_S,
  type CodecMeasures,
} from '../../../src/wire/codec/policy.ts';

const MB = 1e6;
const usual: CodecMeasures = {
  linkBytesPerS: 12.5 * MB,
  cores: 1,
  bytesPerS: 400 * MB,
  ratio: 3,
};

describe('the level', () => {
  test('the level rises with a slower link, and falls to none with a fast one', () => {
    const at = (linkBytesPerS: number) => chooseLevel(FIRST_CHOICE, { ...usual, linkBytesPerS });
    const [thin, usualLink, wider, half, gigabit, fat] = [1, 12.5, 20, 60, 117, 2000].map((link) =>
      at(link * MB),
    );
    assert.deepEqual(thin, { level: 8, windowLog: 23 });
    assert.deepEqual(usualLink, { level: 8, windowLog: 23 });
    assert.deepEqual(wider, { level: 4, windowLog: 22 });
    assert.deepEqual(half, { level: 2, windowLog: 22 });
    assert.deepEqual(gigabit, { level: 1, windowLog: 21 });
    assert.deepEqual(fat, NO_COMPRESSION);
  });

  test('the level is none for incompressible contents, unless trying each batch is almost free', () => {
    const links = fc.double({ min: 300 * MB, max: 1e10, noNaN: true });
    fc.assert(
      fc.property(links, (linkBytesPerS) => {
        const measured = { ...usual, linkBytesPerS, ratio: 1.01 };
        assert.deepEqual(chooseLevel(FIRST_CHOICE, measured), NO_COMPRESSION);
      }),
    );
    const thin = { ...usual, ratio: 1.01 };
    for (const before of [NO_COMPRESSION, FIRST_CHOICE, { level: 4, windowLog: 22 }]) {
      assert.deepEqual(chooseLevel(before, thin), FIRST_CHOICE);
      // A host that is short of processors.
      assert.deepEqual(chooseLevel(before, { ...thin, bytesPerS: 8 * MB }), FIRST_CHOICE);
    }
  });

  test('the level minimizes the bytes on a slow link, whatever the work, until the rate clearly improves', () => {
    const four = { level: 4, windowLog: 22 };
    const at = (bytesPerS: number) => ({ ...usual, bytesPerS: bytesPerS * MB });
    assert.deepEqual(chooseLevel(FIRST_CHOICE, at(95)), four, 'a little less than level 2 would');
    assert.deepEqual(chooseLevel(four, at(80)), four, 'a host that is busy for a while');
    assert.deepEqual(chooseLevel(four, at(40)), FIRST_CHOICE);
    assert.deepEqual(chooseLevel(FIRST_CHOICE, at(80)), FIRST_CHOICE);
  });

  test('the level stays if a change promises little, and never lowers the throughput', () => {
    const measures = fc.record({
      linkBytesPerS: fc.double({ min: 1e4, max: 1e10, noNaN: true }),
      cores: fc.double({ min: 0.1, max: 16, noNaN: true }),
      bytesPerS: fc.double({ min: 1e6, max: 2e9, noNaN: true }),
      ratio: fc.double({ min: 0.9, max: 50, noNaN: true }),
    });
    fc.assert(
      fc.property(measures, (measured) => {
        const first = chooseLevel(FIRST_CHOICE, measured);
        assert.deepEqual(chooseLevel(first, measured), first, 'the second look agrees');
        const least = measured.linkBytesPerS <= THIN_BYTES_PER_S ? 0.84 : 0.91;
        assert.ok(predict(first, measured) >= predict(FIRST_CHOICE, measured) * least);
      }),
      { numRuns: 2000 },
    );
  });

  test('the level changes at most once a second, and each change is recorded with its reason', () => {
    const control = new LevelControl(2);
    assert.deepEqual(control.next(0), FIRST_CHOICE, 'no link is known yet');
    control.linkCarries(2 * MB);
    control.compressed(FIRST_CHOICE, 500_000, 150_000, 1.25);
    const thin = control.next(10);
    assert.ok(thin.level >= 6);
    control.linkCarries(5000 * MB);
    assert.deepEqual(control.next(900), thin);
    assert.equal(control.next(1100).level, 0);
    const [first, second, ...more] = control.changes;
    assert.equal(more.length, 0);
    assert.equal(first?.measured.linkBytesPerS, 2 * MB);
    assert.deepEqual(second?.from, first?.to);
    assert.ok(second !== undefined && second.predictedTo > second.predictedFrom);
  });

  test('the level starts from the reported link rate, and follows the measured one', () => {
    assert.deepEqual(new LevelControl(1, 60 * MB).next(0), FIRST_CHOICE);
    assert.deepEqual(new LevelControl(1, 117 * MB).next(0), { level: 1, windowLog: 21 });
    const control = new LevelControl(1, 12.5 * MB);
    assert.ok(control.thin);
    for (let batch = 0; batch < 100; batch += 1) {
      const choice = control.next(batch * 20);
      assert.equal(choice.level, 4, 'what it is said to carry changes nothing later');
      control.compressed(choice, 500_000, 150_000, 2);
    }
    control.linkCarries(5000 * MB);
    assert.ok(!control.thin);
    assert.equal(control.next(3000).level, 0);
  });

  test('the level does not follow the first batches, which are slow to start', () => {
    const control = new LevelControl(1);
    control.linkCarries(60 * MB);
    for (let batch = 0; batch < 100; batch += 1) {
      const choice = control.next(batch);
      assert.deepEqual(choice, FIRST_CHOICE);
      control.compressed(choice, 500_000, 200_000, batch < 4 ? 40 : 1.5);
    }
  });

  test('a level that proved too high is not tried again for ten seconds', () => {
    const control = new LevelControl(1);
    control.linkCarries(12.5 * MB);
    const at = (nowMs: number, tookMs: number) => {
      for (let batch = 0; batch < 15; batch += 1) {
        const { choice } = control;
        control.compressed(choice, 500_000, choice.level === 4 ? 150_000 : 165_000, tookMs);
      }
      return control.next(nowMs).level;
    };
    assert.equal(at(0, 3), 4);
    assert.equal(at(2000, 40), 4, 'it may be so for a moment');
    assert.equal(at(2500, 5), 4, 'it was');
    assert.equal(at(3000, 40), 4);
    assert.equal(at(4500, 40), 2, 'no processor is left for it');
    assert.equal(at(6000, 3), 2);
    assert.equal(at(14_000, 3), 2);
    assert.equal(at(15_000, 3), 4);
  });

  test('a level of none is tried out now and then, so that it ends when contents shrink again', () => {
    const control = new LevelControl(2);
    control.linkCarries(800 * MB);
    for (let batch = 0; batch < 60; batch += 1) {
      control.compressed(control.next(batch * 100), 500_000, 500_000, 1);
    }
    assert.equal(control.choice.level, 0);
    let tried = 0;
    for (let batch = 60; batch < 700; batch += 1) {
      const choice = control.next(batch * 100);
      if (choice.level > 0) tried += 1;
      control.compressed(choice, 500_000, choice.level > 0 ? 120_000 : 500_000, 1.25);
    }
    assert.ok(tried > 0);
    assert.ok(control.choice.level >= 1);
  });
});
