import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { guestDirectory } from '../../../../src/drivers/qemu/process/guest-directory.ts';
import { markIncoming } from '../../../../src/drivers/qemu/incoming.ts';
import { tempDir } from '../../../rpc/test-contract.ts';

describe('the directory of a guest of QEMU', () => {
  test('a directory without a pid file and a mark has no QEMU, and its guest is settled', async (t) => {
    assert.deepEqual(await guestDirectory(tempDir(t)), { mayLive: false, unsettled: false });
  });

  test('a guest that is being created there is not settled', async (t) => {
    const dir = tempDir(t);
    await markIncoming(dir);
    assert.deepEqual(await guestDirectory(dir), { mayLive: false, unsettled: true });
  });

  test('the QEMU of a directory lives as long as the process in the pid file', async (t) => {
    const dir = tempDir(t);
    const of = (pid: number | undefined) => {
      writeFileSync(path.join(dir, 'qemu.pid'), `${pid}\n`);
      return guestDirectory(dir);
    };
    assert.equal((await of(process.pid)).mayLive, true);
    assert.equal((await of(spawnSync('true').pid)).mayLive, false);
  });

  test('a pid file that cannot be read proves nothing', async (t) => {
    const dir = tempDir(t);
    mkdirSync(path.join(dir, 'qemu.pid'));
    assert.equal((await guestDirectory(dir)).mayLive, true);
  });
});
