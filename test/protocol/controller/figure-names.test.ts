import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DISK_FIGURE_NAMES, FIGURE_NAMES } from '../../../src/protocol/controller/figure-names.ts';

// That each figure has one, the compiler checks.
test('no two figures of a migration have the same name', () => {
  const names = [FIGURE_NAMES, DISK_FIGURE_NAMES].flatMap((each) => Object.values(each));
  assert.equal(new Set(names).size, names.length);
});
