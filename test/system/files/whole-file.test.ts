import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { writeWhole, writeWholeInPieces } from '../../../src/system/files/whole-file.ts';
import { tempDir } from '../../rpc/test-contract.ts';

test('a file is rewritten as a whole, only for its owner, and nothing else is left', (t) => {
  const directory = tempDir(t);
  const file = path.join(directory, 'state.json');
  writeWhole(file, 'one');
  writeWhole(file, 'two');
  assert.equal(readFileSync(file, 'utf8'), 'two');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(directory), ['state.json']);
});

test('a file of pieces is written as a whole, or stays as it was if its pieces cannot be made', async (t) => {
  const directory = tempDir(t);
  const file = path.join(directory, 'state.json');
  await writeWholeInPieces(file, ['one', ' ', 'two']);
  assert.equal(readFileSync(file, 'utf8'), 'one two');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(directory), ['state.json']);
  const broken = (function* pieces() {
    yield 'three';
    throw new Error('no more');
  })();
  await assert.rejects(writeWholeInPieces(file, broken), /no more/);
  assert.equal(readFileSync(file, 'utf8'), 'one two');
  await writeWholeInPieces(file, ['four']);
  assert.deepEqual([readFileSync(file, 'utf8'), readdirSync(directory)], ['four', ['state.json']]);
});
