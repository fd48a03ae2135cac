import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadPairs } from '../../src/words/guest-load.ts';

test("a guest's load shows the present, the busiest and the quietest hour, and nothing unknown", () => {
  const hour = { overMs: 3_600_000, cores: 2 };
  const pairs = loadPairs({
    now: { at: '2026-03-01T10:01:00.000Z', overMs: 60_000, cores: 0.5, inBytesPerS: 1024 ** 2 },
    busiest: { ...hour, from: '2026-03-01T09:00:00.000Z' },
    quietest: { ...hour, from: '2026-03-01T04:00:00.000Z', cores: 0, writtenBytesPerS: 0 },
    hours: [],
  });
  assert.deepEqual(pairs, [
    ['load', '0.50 processors, receives 1 MiB/s'],
    ['busiest hour', '2026-03-01 09:00 UTC: 2.00 processors'],
    ['quietest hour', '2026-03-01 04:00 UTC: 0.00 processors, writes 0 B/s'],
  ]);
  assert.deepEqual(loadPairs({ hours: [] }), []);
});
