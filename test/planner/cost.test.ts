import assert from 'node:assert/strict';
import { test } from 'node:test';
import { costOf } from '../../src/planner/cost.ts';
import { GIB, guest, host } from './inventories.ts';

const link = { linkBytesPerSecond: 100e6 };

test('a quiet guest costs its memory once, over the slower of two links', () => {
  const cost = costOf(guest('web', 'a'), host('a'), host('b', { linkBytesPerSecond: 10e6 }));
  assert.deepEqual([cost.bytes, cost.seconds, cost.downtimeMs], [4 * GIB, (4 * GIB) / 10e6, 20]);
});

test('memory that a guest writes meanwhile is sent again', () => {
  const writes = (dirtyBytesPerSecond: number): number =>
    costOf(guest('web', 'a', { dirtyBytesPerSecond }), host('a', link), host('b', link)).bytes;
  assert.equal(writes(50e6), 8 * GIB);
  assert.ok(writes(1e9) <= 20.01 * GIB);
});

test('a guest that writes faster than the link carries is paused for longer', () => {
  const { downtimeMs } = costOf(
    guest('web', 'a', { dirtyBytesPerSecond: 1e9 }),
    host('a', link),
    host('b', link),
  );
  assert.ok(downtimeMs > 1000);
});
