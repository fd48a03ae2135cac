import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { phase, type Progress } from '../../src/protocol/public/migration.ts';
import { atLeast, NOTHING, percentAfter } from '../../src/migration/percent.ts';

type ProgressSample = Parameters<typeof percentAfter>[1];

const samples = fc.record({
  totalBytes: fc.nat(),
  remainingBytes: fc.nat(),
  transferredBytes: fc.nat(),
  skippedBytes: fc.nat(),
  rate: fc.nat(),
  dirtyRate: fc.nat(),
  round: fc.nat(40),
  totalMs: fc.nat(),
  pageRequests: fc.nat(),
});

const seen: fc.Arbitrary<ProgressSample> = fc.record(
  {
    phase: fc.constantFrom(...phase.options),
    percent: fc.double({ min: 0, max: 100, noNaN: true }),
    etaMs: fc.nat(),
    sample: samples,
  },
  { requiredKeys: ['phase', 'percent'] },
);

test('the percentage of a migration never goes backwards, whatever its host reports', () => {
  fc.assert(
    fc.property(fc.array(seen), (looks) => {
      let shown = NOTHING;
      for (const look of looks) {
        const next = percentAfter(shown, look);
        assert.ok(next.percent >= shown.percent, `${shown.percent} -> ${next.percent}`);
        assert.ok(next.percent >= 0 && next.percent <= 100);
        if (look.phase === 'done') assert.equal(next.percent, 100);
        else if (shown.percent < 100) assert.ok(next.percent < 100, 'it is not over');
        shown = next;
      }
    }),
  );
});

test('a percentage from elsewhere is used if it is higher, and never if it is lower', () => {
  const percents = fc.double({ min: 0, max: 100, noNaN: true });
  fc.assert(
    fc.property(percents, percents, (here, there) => {
      const { percent } = atLeast({ percent: here, heads: 'on' }, there);
      assert.equal(percent, Math.max(here, there));
    }),
  );
});

const memory = (
  round: number,
  remainingBytes: number,
  more: Partial<Progress> = {},
): ProgressSample => ({
  phase: 'memory',
  percent: 0,
  sample: {
    totalBytes: 1000,
    remainingBytes,
    transferredBytes: 0,
    skippedBytes: 0,
    rate: 1,
    dirtyRate: 1,
    round,
    totalMs: 1000,
    pageRequests: 0,
  },
  ...more,
});

test('the percentage rises within the first round and continues to rise in later ones', () => {
  const begun = percentAfter(NOTHING, memory(1, 1000));
  const half = percentAfter(begun, memory(1, 500));
  const second = percentAfter(half, memory(2, 100, { etaMs: 100 }));
  assert.ok(begun.percent < half.percent && half.percent < second.percent);
  // A round that begins with more than was left does not take anything back.
  assert.deepEqual(percentAfter(second, memory(3, 900)), second);
});

test('a migration that is rolled back keeps its percentage and reports its direction', () => {
  const half = percentAfter(NOTHING, memory(1, 500));
  const back = percentAfter(half, { phase: 'undoing', percent: 3 });
  assert.deepEqual(back, { percent: half.percent, heads: 'back' });
  assert.equal(percentAfter(back, { phase: 'cancelled', percent: 0 }).heads, 'ended');
});

test('a migration that waited for hours counts only the time that its memory takes', () => {
  const began = memory(2, 900, { elapsedMs: 3 * 3_600_000, etaMs: 9000 });
  const { percent } = percentAfter(NOTHING, began);
  assert.ok(percent < 40, `${percent} %, with a tenth of the time over`);
});
