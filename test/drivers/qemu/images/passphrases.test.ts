import assert from 'node:assert/strict';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { findPassphrases } from '../../../../src/drivers/qemu/images/passphrases.ts';
import { blockNodes } from '../../../../src/drivers/qemu/spec/disks/disk-schema.ts';
import type { GuestSpec } from '../../../../src/drivers/qemu/spec/schema.ts';
import { tempDir } from '../../../rpc/test-contract.ts';
import { blockNode } from '../spec/samples.ts';

const NODE = { ...blockNode('n0', { file: 'f0' }), luks: true };
const SPEC = { blockNodes: blockNodes.parse([NODE]) } as GuestSpec;
const diskOf = (name: string) => [
  { name, images: [{ node: 'n0', format: 'raw' as const, bytes: 1, readOnly: false }] },
];

describe('the passphrase of an encrypted disk', () => {
  test("the passphrase is the guest's, or the disk's in the guest's directory", async (t) => {
    const keyDir = tempDir(t);
    const own = path.join(keyDir, 'db1');
    await writeFile(own, 'one\n', { mode: 0o600 });
    const look = (guest: string, disk: string) =>
      findPassphrases(SPEC, diskOf(disk), { keyDir, guest });
    assert.deepEqual([...(await look('db1', 'disk0')).passphrases], [['n0', own]]);
    await rm(own);
    await mkdir(own);
    await writeFile(path.join(own, 'disk0'), 'two', { mode: 0o600 });
    const found = await look('db1', 'disk0');
    assert.deepEqual([...found.passphrases], [['n0', path.join(own, 'disk0')]]);
    assert.deepEqual(
      found.checks.map(({ verdict }) => verdict),
      ['pass'],
    );
  });

  test("the passphrase is never another guest's, whatever a peer calls the disk or the guest", async (t) => {
    const keyDir = tempDir(t);
    await mkdir(path.join(keyDir, 'db1'));
    await mkdir(path.join(keyDir, 'db2'));
    await writeFile(path.join(keyDir, 'db2', 'disk0'), 'secret', { mode: 0o600 });
    for (const disk of ['../db2/disk0', '/etc/passwd', '..', '.', 'a/b', '']) {
      for (const guest of ['db1', '../db1', '']) {
        const found = await findPassphrases(SPEC, diskOf(disk), { keyDir, guest });
        assert.equal(found.passphrases.size, 0, `${guest} ${disk}`);
        assert.equal(found.checks[0]?.error?.code, 'GODWIT_HOST_LACKS');
      }
    }
  });

  test('a missing passphrase, or one that other users may read, is refused; it is never shown', async (t) => {
    const keyDir = tempDir(t);
    const own = path.join(keyDir, 'db1');
    const look = async (at: string | undefined) =>
      (await findPassphrases(SPEC, diskOf('disk0'), { keyDir: at, guest: 'db1' })).checks[0]?.error;
    assert.match((await look(undefined))?.hint ?? '', /drivers\.qemu\.luks\.keyDir/);
    assert.match((await look(keyDir))?.hint ?? '', /for root alone to read/);
    await writeFile(own, 'very secret');
    await chmod(own, 0o644);
    const error = await look(keyDir);
    assert.match(error?.message ?? '', /others may read the password/);
    assert.doesNotMatch(JSON.stringify(error), /very secret/);
  });

  test('the passphrase is needed for a node with a decrypting layer, and for no other', () => {
    const { file: _file, ...bare } = NODE;
    assert.equal(blockNodes.safeParse([bare]).success, false);
    assert.equal(blockNodes.safeParse([{ ...NODE, luks: false }]).success, false);
  });
});
