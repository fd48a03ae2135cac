import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measuresOf, verdictOf, type MoveResult } from '../../bench/auto-verdict.ts';
import { judge } from '../../bench/contract.ts';

const way = (totalMs: number, bytes: number) => ({ totalMs, bytes });

test('auto is held to the soonest way, and to the least bytes of those that are as soon but for a tenth', () => {
  const slow = way(2000, 10);
  assert.deepEqual(verdictOf(way(1000, 100), [slow]), { ofSoonest: 1, ofLeast: 1 });
  assert.deepEqual(verdictOf(way(1000, 100), [way(1090, 50), slow]), { ofSoonest: 1, ofLeast: 2 });
  assert.deepEqual(verdictOf(way(1200, 30), [way(1000, 60)]), { ofSoonest: 1.2, ofLeast: 0.5 });
});

test('each scene has the medians of its ways, and nothing is held where auto was not tried', () => {
  const tried: MoveResult[] = [
    ...[1000, 1100, 9000].map((totalMs): MoveResult => {
      return { scene: 'cold', way: 'auto', totalMs, bytes: 100 };
    }),
    { scene: 'cold', way: 'plain', totalMs: 1000, bytes: 90 },
    { scene: 'return', way: 'plain', totalMs: 1000, bytes: 90 },
  ];
  const found = measuresOf('1gbit', tried);
  const value = (name: string) => found.find((each) => each.name === name)?.value;
  assert.equal(value('1gbit: cold: auto: total'), 1.1);
  assert.equal(value('1gbit: cold: total of auto, of the soonest'), 1.1);
  assert.equal(value('1gbit: return: plain: total'), 1);
  const held = found.filter(({ target }) => target !== undefined).map((each) => judge(each).ok);
  assert.deepEqual(held, [true, false]);
});
