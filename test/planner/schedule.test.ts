import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bestSchedule, totalSeconds } from '../../src/planner/schedule.ts';
import type { Links, Transfer } from '../../src/planner/schedule.ts';

const links = (more: Partial<Links> = {}): Links => ({
  bytesPerSecond: () => 100,
  parallel: 4,
  perHost: 4,
  ...more,
});

const transfer = (memoryBytes: number, more: Partial<Transfer> = {}): Transfer => ({
  from: 'a',
  to: 'b',
  memoryBytes,
  dirtyBytesPerSecond: 0,
  ...more,
});

test('quiet guests over one link take as long as their bytes, however many at a time', () => {
  const all = [transfer(1000), transfer(500)];
  for (const parallel of [1, 2]) assert.equal(totalSeconds(all, links({ parallel })), 15);
});

test('a guest that writes takes longer the less of the link it has', () => {
  const all = [1, 2].map(() => transfer(1000, { dirtyBytesPerSecond: 20 }));
  assert.equal(totalSeconds(all, links({ parallel: 1 })), 25);
  assert.ok(Math.abs(totalSeconds(all, links({ parallel: 2 })) - 1000 / 30) < 1e-9);
  assert.equal(bestSchedule(all, links()).parallel, 1);
});

test('slow destinations are used side by side', () => {
  const bytesPerSecond = (host: string): number => (host === 'a' ? 100 : 25);
  const all = ['b', 'c', 'd', 'e'].map((to) => transfer(1000, { to }));
  const best = bestSchedule(all, links({ bytesPerSecond }));
  assert.equal(best.parallel, 4);
  assert.equal(best.seconds, 40);
});

test('limits per host are kept, and who waits does not block the others', () => {
  const all = [transfer(100), transfer(100), transfer(100, { from: 'c', to: 'd' })];
  const ends: number[] = [];
  const seconds = totalSeconds(all, links({ perHost: 1 }), (_, end) => ends.push(end));
  assert.deepEqual([seconds, ends], [2, [1, 1, 2]]);
});

const transfers = fc.array(
  fc.record({
    from: fc.constantFrom('a', 'b'),
    to: fc.constantFrom('c', 'd', 'e'),
    memoryBytes: fc.integer({ min: 1, max: 2000 }),
    dirtyBytesPerSecond: fc.integer({ min: 0, max: 60 }),
  }),
  { minLength: 1, maxLength: 5 },
);
const bytesPerSecond = (host: string): number => (host === 'c' ? 40 : 100);

test('a schedule of few is the best of all orders', () => {
  fc.assert(
    fc.property(transfers, (all) => {
      const limits = links({ bytesPerSecond, perHost: 2 });
      let best = Infinity;
      for (const order of orders(all)) {
        for (const parallel of [1, 2, 3, 4]) {
          best = Math.min(best, totalSeconds(order, { ...limits, parallel }));
        }
      }
      assert.ok(bestSchedule(all, limits).seconds <= best * (1 + 1e-9));
    }),
    { numRuns: 30 },
  );
});

test('a schedule has each transfer once, and takes no less than its busiest link', () => {
  fc.assert(
    fc.property(transfers, (all) => {
      const { order, seconds } = bestSchedule(all, links({ bytesPerSecond }));
      assert.deepEqual(new Set(order), new Set(all));
      assert.equal(order.length, all.length);
      for (const host of ['a', 'b', 'c', 'd', 'e']) {
        const bytes = all
          .filter(({ from, to }) => from === host || to === host)
          .reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
        assert.ok(seconds >= bytes / bytesPerSecond(host) - 1e-6);
      }
    }),
  );
});

function orders<T>(all: readonly T[]): T[][] {
  if (all.length <= 1) return [[...all]];
  return all.flatMap((first, place) =>
    orders(all.toSpliced(place, 1)).map((rest) => [first, ...rest]),
  );
}
