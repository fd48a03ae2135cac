import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { PageNumbers } from '../../../../src/drivers/criu/pages/page-numbers.ts';

test('each page is found by its number, as in a map, even if many share a slot', () => {
  // Few values of each word: most keys collide.
  const word = fc.constantFrom(0, 1, 64, 0xffff_ffff);
  const key = fc.tuple(word, word, word, word).map((words) => {
    const bytes = Buffer.alloc(32);
    for (const [index, each] of words.entries()) bytes.writeUInt32LE(each, index * 4);
    return bytes;
  });
  fc.assert(
    fc.property(fc.array(key, { maxLength: 300 }), (keys) => {
      const numbers = new PageNumbers();
      const map = new Map<string, number>();
      for (const each of keys) {
        const name = each.toString('hex');
        assert.equal(numbers.get(each), map.get(name));
        if (map.has(name)) continue;
        assert.equal(numbers.add(each), map.size);
        map.set(name, map.size);
        assert.equal(numbers.size, map.size);
      }
      for (const each of keys) assert.equal(numbers.get(each), map.get(each.toString('hex')));
    }),
  );
});

test('two hundred thousand pages are kept while the tables grow', () => {
  const numbers = new PageNumbers();
  const digest = (index: number): Buffer => hash('sha256', String(index), 'buffer');
  const COUNT = 200_000;
  for (let index = 0; index < COUNT; index += 1) numbers.add(digest(index));
  for (let index = 0; index < COUNT; index += 1) assert.equal(numbers.get(digest(index)), index);
  assert.equal(numbers.get(digest(COUNT)), undefined);
});

test('a digest that is too short to distinguish pages is refused', () => {
  assert.throws(() => new PageNumbers().add(Buffer.alloc(15)), /15 bytes/);
});
