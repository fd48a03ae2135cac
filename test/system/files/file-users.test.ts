import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fileUsers } from '../../../src/system/files/file-users.ts';
import { openIdentified, setAside } from '../../../src/system/files/identified-file.ts';
import { identifyOpen, identityOf, openFiles } from '../../../src/system/files/open-files.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const soon = (): AbortSignal => AbortSignal.timeout(30_000);

/** A program that has these files open, by their flags. */
async function holder(t: TestContext, files: readonly (readonly [string, string])[]) {
  const stdio = files.map(([file, flags]) => openSync(file, flags));
  const child = spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', 'ignore', ...stdio] });
  await once(child, 'spawn');
  t.after(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return child.pid ?? 0;
}

function fileIn(directory: string, name: string): string {
  const file = path.join(directory, name);
  writeFileSync(file, name);
  return file;
}

describe('open files of a process', () => {
  test("the open files of a process are its images by the kernel's numbers, not by their paths", async (t) => {
    const directory = tempDir(t);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => fileIn(directory, name)) as [
      string,
      string,
      string,
    ];
    const pid = await holder(t, [
      [a, 'r+'],
      [b, 'r'],
      [c, 'r+'],
    ]);
    const id = await identityOf(a);
    // Another file comes to the path of `b`, and `c` is called something else now.
    renameSync(fileIn(directory, 'new'), b);
    renameSync(c, `${c}.old`);
    const images = [a, b, c].map((file, at) => ({ node: `n${at}`, device: `vd${at}`, file }));
    const seen = await identifyOpen(pid, images);
    assert.deepEqual([...seen.identities], [['n0', id]]);
    assert.deepEqual(
      seen.strange.map(({ image, reason }) => [image.node, reason.slice(0, 19)]),
      [
        ['n1', 'the file at this pa'],
        ['n2', 'there is no file at'],
      ],
    );
    const open = await openFiles({ pid }, new Set([id?.split(':')[1] ?? '']));
    assert.deepEqual(
      open.map(({ id: found, mayWrite }) => [found, mayWrite]),
      [[id, true]],
    );
  });

  test('the open files of an ended process do not count as replaced', async (t) => {
    const file = fileIn(tempDir(t), 'a');
    const child = spawn('true');
    await once(child, 'exit');
    const images = [{ node: 'n', device: 'vda', file }];
    await assert.rejects(identifyOpen(child.pid ?? 0, images), /it has ended/);
  });
});

describe('users of a file', () => {
  test('the users of a file are the processes that have it open, except allowed ones', async (t) => {
    const file = fileIn(tempDir(t), 'a');
    const id = (await identityOf(file)) ?? '';
    assert.deepEqual((await fileUsers({ identities: [id], except: [] }, soon())).users, []);
    const writer = await holder(t, [[file, 'r+']]);
    const reader = await holder(t, [[file, 'r']]);
    const { users } = await fileUsers({ identities: [id, '1:1'], except: [] }, soon());
    assert.deepEqual(
      users.toSorted((one, other) => Number(one.mayWrite) - Number(other.mayWrite)),
      [
        { identity: id, by: `process ${reader} (sleep)`, mayWrite: false },
        { identity: id, by: `process ${writer} (sleep)`, mayWrite: true },
      ],
    );
    const { users: others } = await fileUsers({ identities: [id], except: [writer] }, soon());
    assert.deepEqual(
      others.map(({ mayWrite }) => mayWrite),
      [false],
    );
  });

  test('the users of a file are found under a later name, and after its removal', async (t) => {
    const directory = tempDir(t);
    const file = fileIn(directory, 'a');
    const id = (await identityOf(file)) ?? '';
    const pid = await holder(t, [[file, 'r+']]);
    renameSync(fileIn(directory, 'b'), file);
    const [user] = (await fileUsers({ identities: [id], except: [] }, soon())).users;
    assert.equal(user?.by, `process ${pid} (sleep)`);
    const other = (await identityOf(file)) ?? '';
    assert.deepEqual((await fileUsers({ identities: [other], except: [] }, soon())).users, []);
  });

  test('the users of a file exclude a program with another file that reused its inode number', async (t) => {
    const file = fileIn(tempDir(t), 'a');
    const number = ((await identityOf(file)) ?? '').split(':', 2).join(':');
    const { birthtimeNs: born } = statSync(file, { bigint: true });
    await holder(t, [[file, 'r+']]);
    const removed = `${number}:${born - 1n}`;
    assert.deepEqual((await fileUsers({ identities: [removed], except: [] }, soon())).users, []);
  });

  test('the users of a file are found by an identity of an older build, without a birth time', async (t) => {
    const file = fileIn(tempDir(t), 'a');
    const id = ((await identityOf(file)) ?? '').split(':', 2).join(':');
    const pid = await holder(t, [[file, 'r+']]);
    const { users } = await fileUsers({ identities: [id], except: [] }, soon());
    assert.deepEqual(users, [{ identity: id, by: `process ${pid} (sleep)`, mayWrite: true }]);
  });

  test('the users of a file include a loop device, swap, and a kernel target on it', async (t) => {
    const root = tempDir(t);
    const files = ['a', 'b c', 'd', 'e'].map((name) => fileIn(root, name));
    const put = (name: string, words: string): void => {
      const at = path.join(root, name);
      mkdirSync(path.dirname(at), { recursive: true });
      writeFileSync(at, words);
    };
    const [a = '', b = '', d = '', e = ''] = files;
    put('sys/block/loop3/loop/backing_file', `${a}\n`);
    put('sys/block/loop3/ro', '1\n');
    put('sys/block/loop4/loop/backing_file', `${root}/elsewhere (deleted)\n`);
    put('sys/block/sda/ro', '0\n');
    put('proc/swaps', `Filename Type Size\n${b.replace(' ', '\\040')}  file 1 0 -2\n`);
    put('config/target/core/fileio_0/web/udev_path', `${d}\n`);
    put('config/nvmet/subsystems/nqn.1/namespaces/1/device_path', `${e}\n`);
    const identities = await Promise.all(files.map(async (file) => (await identityOf(file)) ?? ''));
    const backing = () => Promise.resolve(new Map<string, string>());
    const at = { sys: `${root}/sys`, proc: `${root}/proc`, config: `${root}/config`, backing };
    put('sys/block/loop5/loop/backing_file', '/in/another/namespace\n');
    const { users, unseen } = await fileUsers({ identities, except: [], ...at }, soon());
    assert.deepEqual(unseen, ['the loop device /dev/loop5 (/in/another/namespace)']);
    assert.deepEqual(
      users.map(({ identity, by, mayWrite }) => [identities.indexOf(identity), by, mayWrite]),
      [
        [0, 'the loop device /dev/loop3', false],
        [1, 'this host’s swap', true],
        [2, 'the SCSI target fileio_0/web of this host', true],
        [3, 'the NVMe target nqn.1 of this host', true],
      ],
    );
  });

  test('the users of a file include mounts of a device or its partition, and devices built on it', async (t) => {
    const root = tempDir(t);
    const put = (name: string, words: string): void => {
      const at = path.join(root, name);
      mkdirSync(path.dirname(at), { recursive: true });
      writeFileSync(at, words);
    };
    // 8:16, as `stat` numbers it.
    const id = `device:${(8 << 8) | 16}`;
    put('sys/devices/sdb/dev', '8:16\n');
    put('sys/devices/sdb/holders/dm-3', '');
    put('sys/devices/sdb/sdb1/dev', '8:17\n');
    put('sys/devices/sdb/sdb1/partition', '1\n');
    mkdirSync(`${root}/sys/dev/block`, { recursive: true });
    symlinkSync('../../devices/sdb', `${root}/sys/dev/block/8:16`);
    put(
      'proc/self/mountinfo',
      '30 1 8:17 / /mnt/my\\040disk rw - ext4 /dev/sdb1 rw\n31 1 8:1 / / rw\n',
    );
    const at = { sys: `${root}/sys`, proc: `${root}/proc`, config: `${root}/none` };
    const { users } = await fileUsers({ identities: [id], except: [], ...at }, soon());
    assert.deepEqual(
      users.map(({ by }) => by),
      ['the device dm-3, which is built on it,', 'the mount at /mnt/my disk'],
    );
  });
});

describe('an identified file', () => {
  test('an identified file is opened under its path only while it is the file there', async (t) => {
    const directory = tempDir(t);
    const file = fileIn(directory, 'a');
    const id = (await identityOf(file)) ?? '';
    const handle = await openIdentified(file, id);
    renameSync(fileIn(directory, 'b'), file);
    assert.equal(await handle.readFile('utf8'), 'a');
    await handle.close();
    await assert.rejects(openIdentified(file, id), /the file at this path is not the file/);
    await assert.rejects(openIdentified(`${file}.gone`, id), /there is no file at this path/);
  });

  test('an identified file differs from a file that got its number after its removal', async (t) => {
    const directory = tempDir(t);
    const file = fileIn(directory, 'a');
    const { ino } = statSync(file);
    const id = await identityOf(file);
    rmSync(file);
    writeFileSync(file, 'somebody’s');
    // ext4 gives the number again at once; elsewhere the test shows the same of another number.
    if (statSync(file).ino === ino) assert.notEqual(await identityOf(file), id);
    for (const isKept of [true, false])
      assert.equal(await setAside(file, 'a.old', id, { isKept }), 'other');
    assert.equal(readFileSync(file, 'utf8'), 'somebody’s');
  });

  test('an identified file is left alone without birth times, unless it was held', async (t) => {
    const directory = tempDir(t);
    const file = fileIn(directory, 'a');
    const number = ((await identityOf(file)) ?? '').split(':', 2).join(':');
    for (const isKept of [true, false])
      assert.equal(await setAside(file, 'a.old', number, { isKept }), 'unknown');
    assert.equal(readFileSync(file, 'utf8'), 'a');
    assert.equal(await setAside(file, 'a.old', number, { isKept: true, isHeld: true }), 'kept');
    // A later mover, which holds nothing, does not know the renamed file either.
    assert.equal(await setAside(file, 'a.old', number, { isKept: false }), 'unknown');
    const again = { isKept: false, isHeld: true };
    assert.equal(await setAside(file, 'a.old', number, again), 'removed');
  });

  test('an identified file is set aside in a real directory, and not without one', async (t) => {
    const directory = tempDir(t);
    const file = fileIn(directory, 'a');
    const id = await identityOf(file);
    symlinkSync(directory, `${directory}.link`);
    t.after(async () => (await import('node:fs/promises')).rm(`${directory}.link`));
    await assert.rejects(setAside(`${directory}.link/a`, 'a.old', id, { isKept: false }), {
      code: 'ENOTDIR',
    });
    assert.equal(await setAside(`${directory}/none/a`, 'a.old', id, { isKept: false }), 'gone');
    assert.equal(await setAside(file, 'a.old', id, { isKept: true }), 'kept');
    assert.equal(await setAside(file, 'a.old', id, { isKept: false }), 'removed');
    assert.equal(await setAside(file, 'a.old', id, { isKept: false }), 'gone');
  });
});
