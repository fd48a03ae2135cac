import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scoresText } from '../../../src/cli/history/prediction-scores.ts';
import { painter } from '../../../src/words/style.ts';
import type { Distribution } from '../../../src/protocol/controller/history.ts';

const look = { columns: 120, isTerminal: false, paint: painter(false) };

function distribution(mean: number, most: number): Distribution {
  const quantiles = [0.5, 0.9, 0.99].map((share) => ({ share, amount: share * most }));
  return { count: 4, least: 0, mean, most, quantiles, bins: [] };
}

test('errors are sizes, their mean has a sign, and the heading has the required share within the ranges', () => {
  const error = distribution(-0.1, 0.2);
  const size = distribution(0.1, 0.2);
  const score = { of: 'totalMs', count: 4, within: 0.5, level: 0.8, error, size } as const;
  const lines = scoresText([score], look).trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => line.trim().split(/ {2,}/)),
    [
      ['ERROR OF', 'COUNT', 'MEDIAN', 'P90', 'P99', 'MAX', 'MEAN', 'WITHIN (AIM 80 %)'],
      ['total time', '4', '10 %', '18 %', '20 %', '20 %', '-10 %', '50 %'],
    ],
  );
});

test('a table is missing if there is no prediction to judge', () => {
  assert.match(scoresText([], look), /^no migration that was predicted/);
});
