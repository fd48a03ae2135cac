import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { liveFile } from '../../../src/system/files/live-file.ts';
import { tempDir } from '../../rpc/test-contract.ts';

test('a file is read again once another one has replaced it, and only then', (t) => {
  const file = path.join(tempDir(t), 'value');
  let reads = 0;
  const value = liveFile(file, (text) => {
    reads += 1;
    return Number(text);
  });
  assert.equal(value(), undefined);
  const put = (text: string): void => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  put('1');
  assert.deepEqual([value(), value(), reads], [1, 1, 1]);
  put('2');
  assert.deepEqual([value(), value(), reads], [2, 2, 2]);
  rmSync(file);
  assert.equal(value(), 2);
});

test('an unreadable file throws the first time, and later keeps the known contents', (t) => {
  const file = path.join(tempDir(t), 'value');
  const value = liveFile(file, (text) => JSON.parse(text) as unknown);
  writeFileSync(file, 'nonsense');
  assert.throws(value, SyntaxError);
  writeFileSync(file, '1');
  assert.equal(value(), 1);
  writeFileSync(file, 'nonsense again');
  assert.equal(value(), 1);
});
