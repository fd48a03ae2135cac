import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asked } from '../../src/planner/requested-cpu.ts';
import type { PlannerGuest, PlannerHost } from '../../src/planner/inventory.ts';
import { guest, host } from './inventories.ts';

const demandOf = (one: Partial<PlannerGuest>, its: Partial<PlannerHost> = {}): readonly number[] =>
  asked({ hosts: [host('a', its)], guests: [guest('web', 'a', { demand: [1, 2], ...one })] })
    .guests[0]?.demand ?? [];

test('a guest that waited half of the time wanted twice its use, and at most its size', () => {
  assert.deepEqual(demandOf({}), [1, 2]);
  assert.deepEqual(demandOf({ steal: [0.5, 0.5, 0.5] }), [2, 4]);
  assert.deepEqual(demandOf({}, { pressure: [0.5] }), [2, 4]);
  assert.deepEqual(demandOf({ steal: [0.75] }), [4, 4]);
});

test("a guest's report about itself counts more than its host's", () => {
  assert.deepEqual(demandOf({ steal: [0] }, { pressure: [0.5] }), [1, 2]);
});

test('implausible values are ignored, and invalid ones stay invalid', () => {
  assert.deepEqual(demandOf({ steal: [Number.NaN, -1, 7] }), [1, 2]);
  const [most = 0] = demandOf({ cpu: 400, steal: [1, 1, 1] });
  assert.ok(Math.abs(most - 10) < 1e-9);
  assert.deepEqual(demandOf({ demand: [99], steal: [0.5] }), [99]);
});
