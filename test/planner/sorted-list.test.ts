import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SortedList } from '../../src/planner/sorted-list.ts';

const compare = (left: number, right: number): number => left - right;
const numbers = fc.uniqueArray(fc.integer({ min: 0, max: 2000 }), { maxLength: 400 });

test('items stay in order whatever is added and removed, and are read from any of them on', () => {
  fc.assert(
    fc.property(numbers, numbers, fc.nat(2000), (first, changes, least) => {
      const list = new SortedList(first, compare);
      const plain = new Set(first);
      for (const each of changes) {
        if (plain.delete(each)) list.remove(each);
        else {
          plain.add(each);
          list.add(each);
        }
      }
      const sorted = [...plain].toSorted(compare);
      assert.deepEqual([...list.from(() => false)], sorted);
      assert.equal(list.first(), sorted[0]);
      const rest = sorted.filter((each) => each >= least);
      assert.deepEqual([...list.from((each) => each < least)], rest);
    }),
  );
});

test('an item that is not in the list is not removed', () => {
  const list = new SortedList([1, 3], compare);
  list.remove(2);
  list.remove(4);
  assert.deepEqual([...list.from(() => false)], [1, 3]);
});

test('hundreds of items that are added in order and removed leave nothing', () => {
  const list = new SortedList<number>([], compare);
  const all = Array.from({ length: 500 }, (_, at) => at);
  for (const each of all) list.add(each);
  assert.deepEqual([...list.from(() => false)], all);
  for (const each of all) list.remove(each);
  assert.equal(list.first(), undefined);
});
