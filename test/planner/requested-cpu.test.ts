import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asked } from '../../src/planner/requested-cpu.ts';
import type { PlannerGuest, PlannerHost } from '../../src/planner/inventory.ts';
import { guest, host } from './inventories.ts';

const demandOf = (one: Partial<PlannerGuest>, its: Partial<PlannerHost> = {}): readonly number[] =>
  asked({ hosts: [host('a', its)], guests: [guest('web', 'a', { demand: [1, 2], ...one })] })
    .guests[0]?.demand ?? [];

test('who waited for half of the time asked for twice what it got, and for no more than its size', () => {
  assert.deepEqual(demandOf({}), [1, 2]);
  assert.deepEqual(demandOf({ steal: [0.5, 0.5, 0.5] }), [2, 4]);
  assert.deepEqual(demandOf({}, { pressure: [0.5] }), [2, 4]);
  assert.deepEqual(demandOf({ steal: [0.75] }), [4, 4]);
});

test('what a guest says of itself counts more than what its host says', () => {
  assert.deepEqual(demandOf({ steal: [0] }, { pressure: [0.5] }), [1, 2]);
});

test('what makes no sense is not believed, and nonsense stays what it is', () => {
  assert.deepEqual(demandOf({ steal: [Number.NaN, -1, 7] }), [1, 2]);
  const [most = 0] = demandOf({ cpu: 400, steal: [1, 1, 1] });
  assert.ok(Math.abs(most - 10) < 1e-9);
  assert.deepEqual(demandOf({ demand: [99], steal: [0.5] }), [99]);
});
