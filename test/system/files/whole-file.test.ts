import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { writeWhole } from '../../../src/system/files/whole-file.ts';
import { tempDir } from '../../rpc/test-contract.ts';

test('a file is written anew as a whole, for its owner alone, and nothing else is left', (t) => {
  const directory = tempDir(t);
  const file = path.join(directory, 'state.json');
  writeWhole(file, 'one');
  writeWhole(file, 'two');
  assert.equal(readFileSync(file, 'utf8'), 'two');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(directory), ['state.json']);
});
