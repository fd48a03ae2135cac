import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { lunsIn } from '../../lab/iscsi.ts';
import { storageClientLacks, storageLacks } from '../../lab/storage.ts';

test('a lab with a storage server needs root, and lists its other requirements', async () => {
  for (const kind of ['nfs', 'iscsi', 'rbd'] as const) {
    const error = await storageLacks(kind, 1000);
    assert.equal(error?.code, 'GODWIT_PRIVILEGE');
    assert.match(
      `${error?.message} ${error?.hint}`,
      new RegExp(`--storage ${kind}.*root.*--storage shared`, 's'),
    );
  }
  assert.equal(await storageLacks('local', 1000), undefined);
  assert.equal(await storageLacks(undefined, 0), undefined);
});

test('a missing NFS client is distinguished from a program that rejects the question', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'godwit-nfs-'));
  try {
    const lacks = async (says: string) => {
      const program = path.join(directory, 'qemu');
      await writeFile(program, `#!/bin/sh\necho "${says}" >&2\nexit 1\n`, { mode: 0o700 });
      return storageClientLacks({ storage: 'nfs' }, program);
    };
    const error = await lacks("qemu: Unknown driver 'nfs'");
    assert.equal(error?.code, 'GODWIT_HOST_LACKS');
    assert.match(error?.hint ?? '', /qemu-block-extra/);
    assert.equal(await lacks('qemu: Invalid URL specified'), undefined);
    assert.equal(await storageClientLacks({ storage: 'shared' }, 'none'), undefined);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('the LUNs of a target are read with their files, and its controller is not one', () => {
  const text = [
    'Target 2: iqn.2026-01.lab:vm',
    '    LUN information:',
    '        LUN: 0',
    '            Type: controller',
    '            Backing store path: None',
    '        LUN: 3',
    '            Type: disk',
    '            Backing store type: rdwr',
    '            Backing store path: /run/a lab/storage/db1/disk0.raw',
  ].join('\n');
  assert.deepEqual(lunsIn(text), [{ tid: 2, lun: 3, file: '/run/a lab/storage/db1/disk0.raw' }]);
  assert.deepEqual(lunsIn(''), []);
});
