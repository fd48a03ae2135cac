import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import {
  closedAbove,
  forgetSource,
  giveAgain,
  giveFiles,
  isOpenToAll,
  openAbove,
  otherUserOf,
  returnFiles,
  writeNew,
} from '../../../../src/drivers/qemu/user/access.ts';
import { tempDir } from '../../../rpc/test-contract.ts';

const isRoot = process.getuid?.() === 0;
const skip = isRoot ? false : 'only root can give files away';
const [ID, OTHER] = [1_880_000_001, 1_880_000_002];

describe("an image given to a guest's QEMU", { skip }, () => {
  test("an image is open to the guest's group as long as it runs, and keeps its owner", async (t) => {
    const { guestDir, image } = place(t, 0o600);
    chownSync(image, 4242, 0);
    await giveFiles(guestDir, [{ file: image, writable: true }], ID);
    assert.deepEqual(seen(image), { uid: 4242, gid: ID, mode: 0o660 });
    await returnFiles(guestDir);
    assert.deepEqual(seen(image), { uid: 4242, gid: 0, mode: 0o600 });
  });

  test('a device is not opened to the group, because it may be in use then', async (t) => {
    const { guestDir } = place(t, 0o600);
    // It answers an open with an error where nobody has made a terminal of it.
    const device = '/dev/vcs63';
    execFileSync('mknod', ['-m', '600', device, 'c', '7', '63']);
    t.after(() => rmSync(device));
    await giveFiles(guestDir, [{ file: device, writable: true }], ID);
    assert.deepEqual(seen(device), { uid: 0, gid: ID, mode: 0o660 });
    await returnFiles(guestDir);
    assert.deepEqual(seen(device), { uid: 0, gid: 0, mode: 0o600 });
  });

  test('a read-only image does not become writable', async (t) => {
    const { guestDir, image } = place(t, 0o600);
    await giveFiles(guestDir, [{ file: image, writable: false }], ID);
    assert.deepEqual(seen(image), { uid: 0, gid: ID, mode: 0o640 });
  });

  test('one image is taken back alone if the call names only that image', async (t) => {
    const { guestDir, image } = place(t, 0o600);
    const device = `${image}.device`;
    writeFileSync(device, '', { mode: 0o600 });
    const wanted = [image, device].map((file) => ({ file, writable: true }));
    await giveFiles(guestDir, wanted, ID);
    await returnFiles(guestDir, [device]);
    assert.deepEqual(seen(device), { uid: 0, gid: 0, mode: 0o600 });
    assert.deepEqual(seen(image), { uid: 0, gid: ID, mode: 0o660 });
    await returnFiles(guestDir);
    assert.deepEqual(seen(image), { uid: 0, gid: 0, mode: 0o600 });
  });

  test('an image returns to no earlier guest if only one guest is settled', async (t) => {
    const { guestDir, image } = place(t, 0o660);
    const device = `${image}.device`;
    writeFileSync(device, '');
    chmodSync(device, 0o660);
    for (const file of [image, device]) chownSync(file, 0, OTHER);
    const wanted = [image, device].map((file) => ({ file, writable: true }));
    await giveFiles(guestDir, wanted, ID);
    await forgetSource(guestDir, (gid) => gid === OTHER, [device]);
    await returnFiles(guestDir);
    assert.deepEqual(seen(device), { uid: 0, gid: 0, mode: 0o600 });
    assert.deepEqual(seen(image), { uid: 0, gid: OTHER, mode: 0o660 });
  });

  test('an image that is open to everyone stays as it is', async (t) => {
    const { guestDir, image } = place(t, 0o644);
    await giveFiles(guestDir, [{ file: image, writable: false }], ID);
    assert.deepEqual(seen(image), { uid: 0, gid: 0, mode: 0o644 });
    await giveFiles(guestDir, [{ file: image, writable: true }], ID);
    assert.deepEqual(seen(image), { uid: 0, gid: ID, mode: 0o664 });
    await returnFiles(guestDir);
    assert.deepEqual(seen(image), { uid: 0, gid: 0, mode: 0o644 });
  });

  test('an image that another host has opened to its own guest since stays with that guest', async (t) => {
    const { guestDir, image } = place(t, 0o600);
    await giveFiles(guestDir, [{ file: image, writable: true }], ID);
    chownSync(image, 0, OTHER);
    await returnFiles(guestDir);
    assert.deepEqual(seen(image), { uid: 0, gid: OTHER, mode: 0o660 });
  });

  test('an image is given again to a restarted QEMU', async (t) => {
    const { guestDir, image } = place(t, 0o600);
    await giveFiles(guestDir, [{ file: image, writable: true }], ID);
    chownSync(image, 0, OTHER);
    await giveAgain(guestDir, ID);
    assert.deepEqual(seen(image), { uid: 0, gid: ID, mode: 0o660 });
    await returnFiles(guestDir);
    assert.deepEqual(seen(image), { uid: 0, gid: 0, mode: 0o600 });
  });

  test("an image returns to the source's QEMU while that may continue, and to no unused number afterwards", async (t) => {
    for (const settles of [false, true]) {
      const { guestDir, image } = place(t, 0o660);
      chownSync(image, 4242, OTHER);
      await giveFiles(guestDir, [{ file: image, writable: true }], ID);
      assert.deepEqual(seen(image), { uid: 4242, gid: ID, mode: 0o660 });
      if (settles) await forgetSource(guestDir, (gid) => gid === OTHER);
      await forgetSource(guestDir, () => false);
      await returnFiles(guestDir);
      const [gid, mode] = settles ? [0, 0o600] : [OTHER, 0o660];
      assert.deepEqual(seen(image), { uid: 4242, gid, mode });
    }
  });

  test('an image may not be a link or a pipe', async (t) => {
    const { guestDir, image } = place(t, 0o600);
    const link = path.join(guestDir, 'link');
    symlinkSync(image, link);
    await assert.rejects(giveFiles(guestDir, [{ file: link, writable: true }], ID), {
      code: 'GODWIT_HOST_LACKS',
    });
    assert.deepEqual(seen(image), { uid: 0, gid: 0, mode: 0o600 });
  });

  test('no image is taken back because of a list that QEMU wrote itself', async (t) => {
    const { guestDir, image } = place(t, 0o600);
    const list = path.join(guestDir, 'given.json');
    chmodSync(image, 0o660);
    chownSync(image, 0, ID);
    writeFileSync(list, JSON.stringify([{ file: image, writable: true, gid: 0, mode: 0o4777 }]));
    chownSync(list, ID, ID);
    await returnFiles(guestDir);
    assert.deepEqual(seen(image), { uid: 0, gid: ID, mode: 0o660 });
  });

  test("no image is taken back because of an agent's list that QEMU linked there", async (t) => {
    for (const link of [linkSync, symlinkSync]) {
      const { guestDir, image } = place(t, 0o660);
      chownSync(image, 0, ID);
      const other = path.join(path.dirname(guestDir), 'other.json');
      writeFileSync(other, JSON.stringify([{ file: image, writable: true, gid: 0, mode: 0o4777 }]));
      link(other, path.join(guestDir, 'given.json'));
      await returnFiles(guestDir);
      assert.deepEqual(seen(image), { uid: 0, gid: ID, mode: 0o660 });
    }
  });
});

describe('a directory', () => {
  test('a directory that excludes other users is named', async (t) => {
    const { guestDir, image } = place(t, 0o644);
    const closed = path.dirname(guestDir);
    chmodSync(closed, 0o711);
    assert.equal(await closedAbove(path.join(guestDir, 'x')), guestDir);
    chmodSync(guestDir, 0o711);
    assert.equal(await closedAbove(path.join(guestDir, 'x')), undefined);
    assert.equal(await isOpenToAll(image), true);
    chmodSync(closed, 0o700);
    assert.equal(await closedAbove(path.join(guestDir, 'x')), closed);
    assert.equal(await isOpenToAll(image), false);
  });

  test("a directory of Godwit's lets others through, and cannot be listed", async (t) => {
    const { guestDir } = place(t, 0o600);
    chmodSync(path.dirname(guestDir), 0o700);
    await openAbove(guestDir, 2);
    assert.equal(statSync(guestDir).mode & 0o777, 0o711);
    assert.equal(statSync(path.dirname(guestDir)).mode & 0o777, 0o711);
  });
});

test('a file replaces a link that was left there', async (t) => {
  const { guestDir, image } = place(t, 0o600);
  const file = path.join(guestDir, 'incoming');
  symlinkSync(image, file);
  await writeNew(file, 'mark');
  assert.equal(statSync(image).size, 0);
  assert.equal(statSync(file).size, 4);
});

test('a process of ours does not belong to another user, nor does one that has ended', async () => {
  assert.equal(await otherUserOf(process.pid), undefined);
  assert.equal(await otherUserOf(0x7fff_fff0), undefined);
});

function place(t: TestContext, mode: number): { guestDir: string; image: string } {
  const guestDir = path.join(tempDir(t), 'web1');
  mkdirSync(guestDir, { mode: 0o700 });
  if (isRoot) chownSync(guestDir, 0, ID);
  const image = path.join(path.dirname(guestDir), 'disk.raw');
  writeFileSync(image, '');
  chmodSync(image, mode);
  return { guestDir, image };
}

function seen(file: string): { uid: number; gid: number; mode: number } {
  const { uid, gid, mode } = statSync(file);
  return { uid, gid, mode: mode & 0o7777 };
}
