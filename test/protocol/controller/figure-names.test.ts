import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIGURE_NAMES } from '../../../src/protocol/controller/figure-names.ts';

// That each figure has one, the compiler checks.
test('no two figures of a migration are called the same', () => {
  const names = Object.values(FIGURE_NAMES);
  assert.equal(new Set(names).size, names.length);
});
