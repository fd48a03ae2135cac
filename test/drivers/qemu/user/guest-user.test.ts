import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { makeLogDir } from '../../../../src/drivers/qemu/user/guest-user.ts';
import { tempDir } from '../../../rpc/test-contract.ts';

const skip = process.geteuid?.() === 0 ? false : 'only root can give directories away';
const ID = 1_880_000_001;
const AS = { uid: ID, gid: ID, groups: [] };

describe('the directory of a guest’s logs', { skip }, () => {
  test("the directory belongs to the agent, and the guest's user may create files in it", async (t) => {
    const { guestDir, logDir } = place(t);
    for (const _again of [1, 2]) {
      await makeLogDir(logDir, guestDir, AS);
      assert.deepEqual(seen(logDir), { uid: 0, gid: ID, mode: 0o1770 });
    }
  });

  test('a directory elsewhere lets others through its parent', async (t) => {
    const { guestDir } = place(t);
    const above = path.join(tempDir(t), 'godwit-a');
    await makeLogDir(path.join(above, 'web1'), guestDir, AS);
    assert.deepEqual(seen(path.join(above, 'web1')), { uid: 0, gid: ID, mode: 0o1770 });
    assert.equal(seen(above).mode & 0o011, 0o011);
  });

  const left: Record<string, (logDir: string, victim: string) => void> = {
    'a link to a directory': (logDir, victim) => symlinkSync(victim, logDir),
    'a link to nothing': (logDir, victim) => symlinkSync(path.join(victim, 'none'), logDir),
    'a directory of QEMU’s user': (logDir) => {
      mkdirSync(logDir);
      chownSync(logDir, ID, ID);
    },
    'a file': (logDir) => writeFileSync(logDir, ''),
  };
  for (const [what, leave] of Object.entries(left)) {
    test(`the directory is not created if QEMU left ${what}`, async (t) => {
      const { guestDir, logDir } = place(t);
      const victim = path.join(path.dirname(guestDir), 'victim');
      mkdirSync(victim);
      chmodSync(victim, 0o700);
      leave(logDir, victim);
      for (const as of [AS, undefined]) {
        await assert.rejects(makeLogDir(logDir, guestDir, as), { code: 'GODWIT_HOST_LACKS' });
      }
      assert.deepEqual(seen(victim), { uid: 0, gid: 0, mode: 0o700 });
    });
  }
});

function place(t: TestContext): { guestDir: string; logDir: string } {
  const guestDir = path.join(tempDir(t), 'web1');
  mkdirSync(guestDir, { mode: 0o700 });
  return { guestDir, logDir: path.join(guestDir, 'godwit-logs') };
}

function seen(file: string): { uid: number; gid: number; mode: number } {
  const { uid, gid, mode } = statSync(file);
  return { uid, gid, mode: mode & 0o7777 };
}
