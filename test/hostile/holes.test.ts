import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { HOLES } from '../../hostile/holes/holes.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

for (const hole of Object.values(HOLES)) {
  test(`the line that allows this defect occurs once in ${hole.file}: ${hole.what}`, () => {
    const source = readFileSync(path.join(ROOT, hole.file), 'utf8');
    assert.equal(source.split(hole.from).length - 1, 1, `not once: ${hole.from}`);
  });
}
