import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from '../../bench/contract.ts';
import { gapMeasures } from '../../bench/gap.ts';

test('a disk may add a fifth of the gap of memory alone, and 20 ms', () => {
  const memory = [90, 100, 500];
  const at = (both: number): boolean | null | undefined =>
    gapMeasures('vxlan', { disk: [both, both, both], memory }).map(judge)[0]?.ok;
  assert.deepEqual([at(100), at(140), at(141)], [true, true, false]);
});
