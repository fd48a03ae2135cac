import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { readPassword } from '../../../src/system/files/password-file.ts';
import { tempDir } from '../../rpc/test-contract.ts';

test('a password is one line of a private file, and is never shown', async (t) => {
  const file = path.join(tempDir(t), 'password');
  writeFileSync(file, 'open sesame\r\n', { mode: 0o600 });
  assert.equal(await readPassword(file), 'open sesame');
  chmodSync(file, 0o640);
  await assert.rejects(readPassword(file), (thrown: Error) => {
    assert.match(thrown.message, /chmod 0600/);
    assert.doesNotMatch(JSON.stringify(thrown), /sesame/);
    return true;
  });
});

test('a password file that is not a plain file of at most a kilobyte is refused at once', async (t) => {
  const dir = tempDir(t);
  const pipe = path.join(dir, 'pipe');
  execFileSync('mkfifo', ['-m', '600', pipe]);
  const large = path.join(dir, 'large');
  writeFileSync(large, 'x'.repeat(1025), { mode: 0o600 });
  const empty = path.join(dir, 'empty');
  writeFileSync(empty, '\n', { mode: 0o600 });
  for (const file of [dir, pipe, large, empty, path.join(dir, 'none')])
    await assert.rejects(readPassword(file), { code: 'GODWIT_CONFIG' });
});
