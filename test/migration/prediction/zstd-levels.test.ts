import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  PACKED3_STREAM,
  PACKED9_STREAM,
  PACKED_STREAM,
} from '../../../src/migration/prediction/data-path.ts';
import { ask, pathOf } from './paths.ts';
import { MBIT, MIX, offer, own, thin, MIB } from './samples.ts';

test('auto takes a higher level on a slower link, 9 only for sampled pages, limited by free processors', () => {
  const at = (mbit: number, cores: number, mix?: typeof MIX) => {
    const sides = { own: { ...own, cores }, offer: undefined };
    const measured = { curve: [], mix };
    const choice = pathOf(ask(), { ...thin, ...sides, linkBytesPerS: mbit * MBIT, measured });
    return 'stream' in choice ? choice.stream : undefined;
  };
  assert.deepEqual([at(100, 2), at(1000, 2)], [PACKED3_STREAM, PACKED_STREAM]);
  assert.deepEqual([at(40, 2), at(40, 2, MIX)], [PACKED3_STREAM, PACKED9_STREAM]);
  assert.deepEqual(
    [at(100, 1, MIX), at(100, 2, MIX), at(200, 2, MIX)],
    [PACKED_STREAM, PACKED3_STREAM, PACKED_STREAM],
  );
  assert.deepEqual([at(200, 8, MIX), at(1000, 8, MIX)], [PACKED9_STREAM, PACKED_STREAM]);
  // What does not shrink is not worth a level's time.
  const random = { zero: 0, duplicate: 0, packed: 1 };
  assert.deepEqual(at(40, 8, random), PACKED_STREAM);
});

test('auto takes the level that was fastest, or nearly so, in recorded moves of a guest of 384 MiB', () => {
  // bench/results/prediction.md; at 400 Mbit/s and more on a busy machine.
  const rows = [
    [100, false, 'native'],
    [100, true, 'wire'],
    [400, false, 'native'],
    [400, true, 'native'],
    [1000, true, 'native'],
  ] as const;
  for (const [mbit, knowsGuest, takes] of rows) {
    const sides = { own: { ...own, knowsGuest }, offer: { ...offer, knowsGuest } };
    const facts = { ...thin, ...sides, memoryBytes: 384 * MIB, linkBytesPerS: mbit * MBIT };
    const choice = pathOf(ask(), facts);
    assert.equal(choice.takes, takes, `${mbit} Mbit/s: ${choice.why}`);
    if (mbit === 100 && 'stream' in choice) assert.deepEqual(choice.stream, PACKED3_STREAM);
  }
});
