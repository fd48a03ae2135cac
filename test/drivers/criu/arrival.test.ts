import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Arrival, removePages } from '../../../src/drivers/criu/arrival.ts';
import type { HostContext } from '../../../src/drivers/criu/host/host-context.ts';
import { Records } from '../../../src/drivers/criu/link/records.ts';
import type { DestinationOptions } from '../../../src/port/direct.ts';
import { removeTree } from '../../../src/system/files/remove-tree.ts';

test('the received pages are deleted, and the other files stay until the migration ends', async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-arrival-'));
  try {
    await mkdir(path.join(directory, 'images'));
    for (const each of ['pages.store', 'setup.json', 'images/pages-1.img', 'images/core-1.img'])
      await writeFile(path.join(directory, each), each);
    await removePages(directory);
    assert.deepEqual((await readdir(directory)).toSorted(), ['images', 'setup.json']);
    assert.deepEqual(await readdir(path.join(directory, 'images')), ['core-1.img']);
    await removePages(directory);
  } finally {
    await removeTree(directory);
  }
});

test('pages are deleted while the source is cleaned up only once the container runs with all of its memory', async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-arrival-'));
  try {
    const context = { records: new Records(directory) } as HostContext;
    const handle = { driver: 'criu', name: 'box', memoryBytes: 1, token: 't' } as const;
    const options = { host: 'b', guest: 'box' } as DestinationOptions;
    const images = path.join(directory, 'box', 'in', 'images');
    await mkdir(images, { recursive: true });
    for (const each of ['pages-1.img', 'core-1.img'])
      await writeFile(path.join(images, each), each);
    const arrival = new Arrival(context, handle, directory, options);
    arrival.tidy();
    await arrival.close(false);
    assert.equal((await readdir(images)).length, 2);
    arrival.reported.to('completed');
    arrival.tidy();
    await arrival.close(false);
    assert.deepEqual(await readdir(images), ['core-1.img']);
  } finally {
    await removeTree(directory);
  }
});
