import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { ChangedDirectories } from '../../../src/agent/guests/changed-directories.ts';
import { untilSo } from '../../until.ts';

test('a missing directory has not changed until its parent has', async (t) => {
  const above = mkdtempSync(path.join(tmpdir(), 'godwit-changed-'));
  t.after(() => rmSync(above, { recursive: true, force: true }));
  const changed = new ChangedDirectories();
  t.after(() => changed.keep(new Set()));
  const below = path.join(above, 'guests');
  assert.equal(changed.has(below), true, 'nobody would report that it comes');
  assert.equal(changed.has(above), true);
  assert.equal(changed.has(below), false);
  assert.equal(changed.has(below), false);
  mkdirSync(below);
  await untilSo(() => changed.has(above));
  assert.equal(changed.has(below), true);
  assert.equal(changed.has(below), false);
});
