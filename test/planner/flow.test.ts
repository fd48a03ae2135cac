import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { shareOut } from '../../src/planner/flow.ts';

const flow = (resources: number[], most = Infinity) => ({ resources, most, rate: 0 });

test('a flow that is limited elsewhere leaves its share to the others', () => {
  const [slow, fast] = [flow([0, 1]), flow([0, 2])];
  shareOut([slow, fast], [100, 20, 100]);
  assert.deepEqual([slow.rate, fast.rate], [20, 80]);
});

test('a flow takes no more than its maximum', () => {
  const [one, other] = [flow([0], 10), flow([0])];
  shareOut([one, other], [100]);
  assert.deepEqual([one.rate, other.rate], [10, 90]);
});

test('no link carries more than it can, and each flow has a full link on its path', () => {
  const flows = fc.array(
    fc.record({
      resources: fc.uniqueArray(fc.integer({ min: 0, max: 3 }), { minLength: 1 }),
      most: fc.integer({ min: 1, max: 100 }),
    }),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(
      flows,
      fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 4, maxLength: 4 }),
      (list, capacity) => {
        const all = list.map((each) => ({ ...each, rate: 0 }));
        shareOut(all, capacity);
        const used = capacity.map((_, at) =>
          all
            .filter(({ resources }) => resources.includes(at))
            .reduce((sum, { rate }) => sum + rate, 0),
        );
        for (const [at, most] of capacity.entries())
          assert.ok((used[at] ?? 0) <= most * (1 + 1e-9));
        for (const { rate, most, resources } of all) {
          const full = resources.some((at) => (used[at] ?? 0) >= (capacity[at] ?? 0) * (1 - 1e-9));
          assert.ok(full || rate >= most * (1 - 1e-9));
        }
      },
    ),
  );
});
