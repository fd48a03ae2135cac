import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { QemuDriver } from '../../../src/drivers/qemu/driver.ts';
import { giveFiles } from '../../../src/drivers/qemu/user/access.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { fleet } from '../samples.ts';

const skip = process.getuid?.() === 0 ? false : 'only root can give files away';
const ID = 1_880_000_001;

test(
  'an image is closed again when the directory of a guest that ended by itself is cleared',
  { skip },
  async (t) => {
    const image = path.join(tempDir(t), 'disk.qcow2');
    writeFileSync(image, '', { mode: 0o600 });
    chownSync(image, 4242, 6);
    const dirs = { cacheDir: tempDir(t), guestsDir: tempDir(t), imageDirs: [] };
    const none = { user: 'agent', cgroup: 'none' } as const;
    const qemu = new QemuDriver({ host: 'a', binaries: [], ...none, ...dirs });
    const takeBack = (dir: string) => qemu.takeBack(dir);
    const { api, config } = await (await fleet(t)).host('a', { driver: { takeBack } });
    const dir = path.join(config.stateDir, 'guests', 'web1');
    mkdirSync(dir, { recursive: true });
    chownSync(dir, 0, ID);
    chmodSync(dir, 0o1770);
    await giveFiles(dir, [{ file: image, writable: true }], ID);
    assert.equal(statSync(image).gid, ID);
    // What lies for a while is no guest that is just being built.
    utimesSync(dir, 1, 1);
    const { cleared } = await api.clearLeftovers({});
    assert.deepEqual(
      cleared.map(({ kind }) => kind),
      ['guest-directory'],
    );
    assert.equal(existsSync(dir), false);
    const { uid, gid, mode } = statSync(image);
    assert.deepEqual({ uid, gid, mode: mode & 0o7777 }, { uid: 4242, gid: 6, mode: 0o600 });
  },
);
