import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

interface FullDiskResult {
  readonly refused?: string;
  readonly acceptedWhenFull: readonly string[];
  readonly listedWhenFull: readonly string[];
  readonly afterwards: string;
  readonly accepted: readonly string[];
  readonly listedAfterwards: readonly string[];
  readonly integrity: readonly string[];
}

test('a controller with a full disk reports it, keeps reading, loses no accepted change, and recovers by itself', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'godwit-full-'));
  try {
    const program = path.join(import.meta.dirname, 'full-disk.ts');
    const text = execFileSync('unshare', ['--mount', process.execPath, program, directory]);
    const seen = JSON.parse(text.toString()) as FullDiskResult;
    assert.match(seen.refused ?? '', /^GODWIT_STORE .*(full|disk)/);
    assert.deepEqual(seen.listedWhenFull, seen.acceptedWhenFull);
    assert.equal(seen.afterwards, 'accepted');
    assert.deepEqual(seen.listedAfterwards, seen.accepted);
    assert.deepEqual(seen.integrity, ['ok']);
  } finally {
    rmdirSync(directory);
  }
});
