import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { startGuest } from '../../lab/guest/start.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import { assertWrites } from './support/disks.ts';
import { FEW_PLACES } from './support/few-disk-slots.ts';
import { move } from './support/moves.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const run = promisify(execFile);

/** Loop devices stand for volumes: one that both hosts see, each under a name of its own, and one that only `a` sees. */
describe('a guest with block devices', () => {
  let world: World;
  let top: string;
  const loops: string[] = [];

  async function loop(name: string, bytes: number, filled = Buffer.alloc(0)): Promise<string> {
    const file = path.join(top, `${name}.img`);
    await writeFile(file, filled);
    await run('truncate', ['-s', String(bytes), file]);
    const { stdout } = await run('losetup', ['--find', '--show', file]);
    loops.push(stdout.trim());
    return stdout.trim();
  }

  before(async () => {
    top = await mkdtemp(path.join(tmpdir(), 'godwit-bd-'));
    await run('chmod', ['755', top]);
    for (const host of ['a', 'b']) {
      for (const kind of ['devices', 'files']) {
        await mkdir(path.join(top, `${kind}-${host}`), { recursive: true, mode: 0o755 });
      }
    }
    // Too little data on it would not distinguish it from another.
    const san = await loop('san', 64 * MIB, randomBytes(16 * MIB));
    const local = await loop('local', 48 * MIB);
    await symlink(san, path.join(top, 'devices-a/lun1'));
    await symlink(san, path.join(top, 'devices-b/mpathb'));
    await symlink(local, path.join(top, 'devices-a/vm-disk'));
    const configure = (host: string) => ({
      storage: [
        { devices: path.join(top, `devices-${host}`) },
        { path: path.join(top, `files-${host}`) },
      ],
    });
    world = await openWorld('block', { hosts: 2, storage: 'local', configure });
    const disks = [
      { bytes: 64 * MIB, thin: false, device: path.join(top, 'devices-a/lun1') },
      { bytes: 48 * MIB, thin: false, device: path.join(top, 'devices-a/vm-disk') },
    ];
    await startGuest(world.lab, {
      ...SMALL_GUEST,
      host: 'a',
      name: 'san1',
      disks,
      kernelWords: FEW_PLACES,
    });
  });
  after(async () => {
    await world?.close();
    for (const each of loops) await run('losetup', ['--detach', each]).catch(() => undefined);
    if (top !== undefined) await rm(top, { recursive: true, force: true });
  });

  async function whole(host: string): Promise<void> {
    assert.deepEqual(await runningOn(world.lab, 'san1'), [host]);
    await assertWrites(world, 'san1');
  }

  test('a guest keeps the device that both hosts see, by ids and content, and gets the other one as a file', async (t) => {
    const report = await move(world, { guest: 'san1', from: 'a', to: 'b' });
    const reported = report.checks
      .filter(({ name }) => name === 'disks')
      .map((each) => each.evidence);
    t.diagnostic(reported.join('\n'));
    assert.ok(reported.some((each) => /see a device of the same ids and size/.test(each)));
    assert.ok(reported.some((each) => /left as they are/.test(each)));
    await whole('b');
    assert.deepEqual(await readdir(path.join(top, 'files-b')), ['vm-disk']);
    const copy = await stat(path.join(top, 'files-b/vm-disk'));
    assert.equal(copy.size, 48 * MIB);
    t.diagnostic(`${copy.blocks * 512} bytes of it are taken`);
    assert.ok(copy.blocks * 512 < 40 * MIB, 'what is zero is a hole');
    await move(world, { guest: 'san1', from: 'b', to: 'a' });
    await whole('a');
    assert.deepEqual(await readdir(path.join(top, 'files-b')), []);
    assert.equal((await stat(path.join(top, 'files-a/vm-disk'))).size, 48 * MIB);
  });
});
