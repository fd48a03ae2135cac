import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { didYouMean, editDistance, nearest } from '../../src/protocol/nearest.ts';

const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '-'), maxLength: 12 });

describe('the nearest name', () => {
  const verbs = ['migrate', 'migrations', 'hosts', 'guest', 'guests', 'doctor'];

  test('a missing, doubled, wrong or swapped letter still finds the name', () => {
    for (const typed of ['migate', 'miggrate', 'migrste', 'mirgate', 'MIGRATE']) {
      assert.equal(nearest(typed, verbs), 'migrate', typed);
    }
  });

  test('a word far from every name finds none', () => {
    assert.equal(nearest('zebra', verbs), undefined);
    assert.equal(nearest('', verbs), undefined);
  });

  test('one-letter names are not suggested for each other', () => {
    assert.equal(nearest('c', ['a', 'b']), undefined);
    assert.equal(nearest('A', ['a', 'b']), 'a');
  });

  test('the beginning of just one name finds it', () => {
    assert.equal(nearest('doc', verbs), 'doctor');
    assert.equal(nearest('mig', verbs), undefined);
  });

  test('a very long word is not compared', () => {
    assert.equal(nearest('m'.repeat(100_000), verbs), undefined);
  });

  test('the suggestion reads as a question', () => {
    assert.equal(didYouMean('host', ['hosts']), 'Did you mean hosts?');
    assert.equal(didYouMean('zebra', ['hosts']), undefined);
  });
});

describe('the edit distance', () => {
  test('the edit distance is symmetric, and 0 only for equal words', () => {
    fc.assert(
      fc.property(word, word, (left, right) => {
        const distance = editDistance(left, right);
        assert.equal(distance, editDistance(right, left));
        assert.equal(distance === 0, left === right);
        assert.ok(distance <= Math.max(left.length, right.length));
        assert.ok(distance >= Math.abs(left.length - right.length));
      }),
    );
  });

  test('two swapped neighbors are one edit', () => {
    assert.equal(editDistance('ab', 'ba'), 1);
    assert.equal(editDistance('kitten', 'sitting'), 3);
  });
});
