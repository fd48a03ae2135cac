import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import {
  keepTpmDir,
  leaveTpmDir,
  makeTpmDir,
  tpmDirOf,
  unmakeTpmDir,
} from '../../../../src/drivers/qemu/tpm/directory.ts';

describe('the directory of a guest’s TPM', () => {
  let root: string;
  let guestDir: string;

  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'godwit-tpm-'));
    guestDir = path.join(root, 'guests', 'web1');
    await mkdir(guestDir, { recursive: true });
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const listed = async (): Promise<string[]> => (await readdir(path.join(root, 'tpm'))).toSorted();
  const hold = (text: string): Promise<void> =>
    writeFile(path.join(tpmDirOf(guestDir), 'tpm2-00.permall'), text);
  const held = (name: string): Promise<string> =>
    readFile(path.join(root, 'tpm', name, 'tpm2-00.permall'), 'utf8');

  test('the directory is readable by the guest alone, and outlives its QEMU', async () => {
    assert.equal(await makeTpmDir(guestDir, undefined), path.join(root, 'tpm', 'web1'));
    await hold('one');
    await keepTpmDir(guestDir);
    await unmakeTpmDir(guestDir);
    assert.equal(await held('web1'), 'one');
    assert.deepEqual(await readdir(guestDir), []);
  });

  test('an undo removes the directory, even if repeated, and restores the earlier one', async () => {
    await makeTpmDir(guestDir, undefined);
    await hold('coming');
    await unmakeTpmDir(guestDir);
    await unmakeTpmDir(guestDir);
    assert.deepEqual(await listed(), []);

    await mkdir(tpmDirOf(guestDir));
    await hold('earlier');
    await makeTpmDir(guestDir, undefined);
    assert.equal(await held('web1.old-1'), 'earlier');
    await hold('coming');
    await unmakeTpmDir(guestDir);
    await unmakeTpmDir(guestDir);
    assert.deepEqual(await listed(), ['web1']);
    assert.equal(await held('web1'), 'earlier');
  });

  test('an undo of a preparation that only existed on paper does not touch an earlier state', async () => {
    await mkdir(tpmDirOf(guestDir), { recursive: true });
    await hold('earlier');
    const record = JSON.stringify({ aside: `${tpmDirOf(guestDir)}.old-1` });
    await writeFile(path.join(guestDir, 'godwit-tpm.json'), record);
    await unmakeTpmDir(guestDir);
    assert.equal(await held('web1'), 'earlier');
  });

  test('an earlier state is never overwritten, and at most nine are kept', async () => {
    for (let number = 1; number <= 9; number += 1) {
      await makeTpmDir(guestDir, undefined);
      await hold(String(number));
      await keepTpmDir(guestDir);
    }
    await makeTpmDir(guestDir, undefined);
    await keepTpmDir(guestDir);
    assert.deepEqual(await Promise.all([1, 5, 9].map((each) => held(`web1.old-${each}`))), [
      '1',
      '5',
      '9',
    ]);
    await assert.rejects(makeTpmDir(guestDir, undefined), { code: 'GODWIT_HOST_LACKS' });
  });

  test('the last state of a guest that has left is kept under another name', async () => {
    for (const text of ['first', 'second']) {
      await makeTpmDir(guestDir, undefined);
      await hold(text);
      await keepTpmDir(guestDir);
      await leaveTpmDir(guestDir);
    }
    assert.deepEqual(await listed(), ['web1.left']);
    assert.equal(await held('web1.left'), 'second');
    await leaveTpmDir(guestDir);
    assert.deepEqual(await listed(), ['web1.left']);
  });
});
