import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  judgeBalloon,
  judgeGivesBack,
  judgeInflated,
  marginOf,
  takeOf,
} from '../../../src/migration/preflight/balloon.ts';

const MIB = 1024 ** 2;
const GIB = 1024 * MIB;

describe('available balloon memory', () => {
  const look = {
    actualBytes: GIB,
    wholeBytes: GIB,
    freeBytes: 300 * MIB,
    availableBytes: 600 * MIB,
  };

  test('a balloon may take the free memory, or also the page cache, minus the margin', () => {
    assert.equal(marginOf(GIB), 64 * MIB);
    assert.equal(marginOf(100 * GIB), 5 * GIB);
    assert.equal(takeOf('free', look), 236 * MIB);
    assert.equal(takeOf('available', look), 536 * MIB);
  });

  test('a balloon may take nothing if the guest needs all its memory', () => {
    const busy = { ...look, freeBytes: 60 * MIB, availableBytes: 60 * MIB };
    assert.equal(takeOf('available', busy), 0);
  });

  test('a balloon always leaves the margin, whatever the guest reports', () => {
    const bytes = fc.integer({ min: 0, max: 4 * GIB });
    const all = fc.record({
      actualBytes: bytes,
      wholeBytes: bytes,
      freeBytes: bytes,
      availableBytes: bytes,
    });
    fc.assert(
      fc.property(all, fc.constantFrom('free', 'available'), (seen, policy) => {
        const take = takeOf(policy, seen);
        const memory = seen.wholeBytes;
        assert.ok(take >= 0 && take % MIB === 0);
        if (take === 0) return;
        assert.ok(seen.availableBytes - take >= marginOf(memory));
        assert.ok(seen.actualBytes - take >= marginOf(memory));
        assert.ok(policy === 'available' || seen.freeBytes - take >= marginOf(memory));
      }),
    );
  });

  test('the use of a balloon is announced, and refused if another program has filled it', () => {
    const passes = judgeBalloon('available', look);
    assert.equal(passes.verdict, 'pass');
    assert.match(passes.evidence, /536 MiB .* 600 MiB are available, of which it keeps 64 MiB/);
    const held = judgeBalloon('available', { ...look, actualBytes: GIB - 8 * MIB });
    assert.equal(held.verdict, 'refuse');
    assert.match(held.evidence, /holds 8 MiB already, for somebody else/);
  });
});

describe('a filled balloon', () => {
  test("a filled balloon is reported with the guest's memory, its maximum and the required room", () => {
    const [found, ...others] = judgeInflated({ actualBytes: 640 * MIB, wholeBytes: GIB });
    assert.deepEqual(others, []);
    assert.equal(found?.verdict, 'pass');
    assert.match(found?.evidence ?? '', /holds 384 MiB.* has 640 MiB now .* grow to 1 GiB/);
  });

  test('a balloon is reported exactly if it holds at least 1 MiB', () => {
    const whole = fc.integer({ min: MIB, max: 4 * GIB });
    fc.assert(
      fc.property(whole, fc.double({ min: 0, max: 1, noNaN: true }), (wholeBytes, share) => {
        const actualBytes = Math.round(wholeBytes * share);
        const said = judgeInflated({ actualBytes, wholeBytes }).length === 1;
        assert.equal(said, wholeBytes - actualBytes >= MIB);
      }),
    );
    assert.deepEqual(judgeInflated({ actualBytes: GIB, wholeBytes: GIB }), []);
    assert.deepEqual(judgeInflated(undefined), []);
  });
});

describe('a destination', () => {
  const judge = (givesBack?: boolean) =>
    judgeGivesBack({
      destination: { name: 'b', ...(givesBack === undefined ? {} : { givesBack }) },
      balloon: 'free',
    }).map(({ verdict }) => verdict);

  test('a destination of an earlier build, which would leave memory in the balloon, is refused', () => {
    assert.deepEqual(judge(true), ['pass']);
    assert.deepEqual(judge(), ['refuse']);
    assert.deepEqual(judgeGivesBack({ destination: { name: 'b' } }), []);
  });
});
