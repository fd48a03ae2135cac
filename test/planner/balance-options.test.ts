import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BALANCE, CARE } from '../../src/planner/balance-options.ts';

test('each higher level moves guests sooner, or for less, and never later', () => {
  const levels = ([1, 2, 3, 4, 5] as const).map((level) => CARE[level]);
  for (const [at, care] of levels.slice(1).entries()) {
    const before = levels[at];
    assert.ok(before !== undefined && care.over <= before.over && care.worth <= before.worth);
    assert.ok((care.z ?? 0) >= (before.z ?? 0));
    assert.ok((care.spread ?? Infinity) <= (before.spread ?? Infinity));
    assert.notDeepEqual(care, before);
  }
  assert.equal(BALANCE.level, 3);
});
