import assert from 'node:assert/strict';
import { mkdtemp, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { lifeOfHandle } from '../../../../src/drivers/criu/handle.ts';
import { Records } from '../../../../src/drivers/criu/link/records.ts';
import { ownIdentity } from '../../../../src/system/processes/process.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';

test('a container counts as gone only if its record is missing, not if it is damaged', async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-records-'));
  try {
    const records = new Records(directory);
    const handle = { driver: 'criu', name: 'box', token: 't', memoryBytes: 1 };
    assert.equal(lifeOfHandle(handle, records).state, 'gone');
    await records.write('box', { token: 't', mover: ownIdentity(), memoryBytes: 1 });
    assert.equal(lifeOfHandle(handle, records).state, 'alive');
    const file = path.join(records.dirOf('box'), 'record.json');
    for (const damaged of ['', '{"token":', '{"token":"t"}']) {
      await writeFile(file, damaged);
      const life = lifeOfHandle(handle, records);
      assert.equal(life.state, 'unknown');
      assert.ok(life.state === 'unknown' && life.reason.includes(file), JSON.stringify(life));
      // Changing one would make it one that says nothing.
      await assert.rejects(records.change('box', { leaving: 'sent' }), /cannot be read/);
    }
  } finally {
    await removeTree(directory);
  }
});

test('a host that never had a container has no records, and reports that', async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-records-'));
  try {
    const records = new Records(path.join(directory, 'containers'));
    assert.deepEqual(await records.names(), []);
    await records.write('box', { token: 't', mover: ownIdentity(), memoryBytes: 1 });
    assert.deepEqual(await records.names(), ['box']);
  } finally {
    await removeTree(directory);
  }
});
