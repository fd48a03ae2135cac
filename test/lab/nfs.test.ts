import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { nfsClientLacks, storageLacks } from '../../src/lab/nfs.ts';

test('a lab with an NFS server needs root and says what else there is', async () => {
  const error = await storageLacks('nfs', 1000);
  assert.equal(error?.code, 'GODWIT_PRIVILEGE');
  assert.match(`${error?.message} ${error?.hint}`, /--storage nfs.*root.*--storage shared/s);
  assert.equal(await storageLacks('local', 1000), undefined);
  assert.equal(await storageLacks(undefined, 0), undefined);
});

test('a program without an NFS client is told from one that only finds fault with the question', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'godwit-nfs-'));
  try {
    const lacks = async (says: string) => {
      const program = path.join(directory, 'qemu');
      await writeFile(program, `#!/bin/sh\necho "${says}" >&2\nexit 1\n`, { mode: 0o700 });
      return nfsClientLacks({ storage: 'nfs' }, program);
    };
    const error = await lacks("qemu: Unknown driver 'nfs'");
    assert.equal(error?.code, 'GODWIT_HOST_LACKS');
    assert.match(error?.hint ?? '', /qemu-block-extra/);
    assert.equal(await lacks('qemu: Invalid URL specified'), undefined);
    assert.equal(await nfsClientLacks({ storage: 'shared' }, 'none'), undefined);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
