import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  bitsOf,
  groupQuestion,
  groupsOf,
  hasBit,
  numbersOf,
  runsOf,
} from '../../../../src/drivers/criu/pages/page-groups.ts';

const digestsOf = (count: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, at) => hash('sha256', String(at), 'buffer')));

test('a question names each group by its first page and by all of its digests', () => {
  const digests = digestsOf(70);
  const groups = groupsOf(groupQuestion(digests));
  assert.deepEqual(
    groups.map(({ pages }) => pages),
    [32, 32, 6],
  );
  for (const [index, { key, pages, digest }] of groups.entries()) {
    const own = digests.subarray(index * 32 * 32, (index * 32 + pages) * 32);
    assert.ok(key.equals(own.subarray(0, 16)));
    assert.ok(digest.equals(hash('sha256', own, 'buffer')));
  }
});

test('a malformed question for groups is refused', () => {
  const question = groupQuestion(digestsOf(1024));
  assert.equal(groupsOf(question).length, 32);
  const many = groupQuestion(digestsOf(1025));
  for (const each of [Buffer.alloc(0), Buffer.alloc(4), question.subarray(1), many])
    assert.throws(() => groupsOf(each), /bytes of groups/);
});

test('numbers come out of their runs as they went in', () => {
  const alike = 0xffff_fffe;
  const number = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constantFrom(alike, alike + 1));
  fc.assert(
    fc.property(fc.array(number, { maxLength: 50 }), (numbers) => {
      const read = numbersOf(runsOf(numbers, alike), alike, 50);
      const all = Array.from({ length: read.length / 4 }, (_, at) => read.readUInt32LE(at * 4));
      assert.deepEqual(all, numbers);
    }),
  );
  assert.equal(runsOf([7, 8, 9, alike, alike], alike).length, 16);
});

test('runs that are too long, empty, or beyond the last number are refused', () => {
  const runs = (...words: number[]): Buffer => Buffer.from(Uint32Array.from(words).buffer);
  for (const each of [runs(1), runs(0, 0), runs(0, 5), runs(0, 3, 9, 2), runs(98, 3)])
    assert.throws(() => numbersOf(each, 100, 4), /runs/);
});

test('bits report which groups were found', () => {
  const found = Uint8Array.from([1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  const bits = bitsOf(found);
  assert.equal(bits.length, 2);
  assert.deepEqual(
    found.map((_, at) => Number(hasBit(bits, at))),
    found,
  );
});
