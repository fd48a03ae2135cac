import assert from 'node:assert/strict';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { placeFor } from '../../../src/disks/move/place.ts';
import { agentConfig } from '../../../src/config.ts';
import type { AgentConfig } from '../../../src/config.ts';

describe('the place to which a disk is to go', () => {
  let top: string;
  let config: AgentConfig;

  beforeEach(async () => {
    top = await realpath(await mkdtemp(path.join(tmpdir(), 'godwit-place-')));
    for (const name of ['slow', 'fast/dir', 'else']) await mkdir(at(name), { recursive: true });
    await writeFile(at('slow', 'disk.raw'), 'x');
    await symlink(at('fast'), at('link'));
    const storage = [{ path: at('slow') }, { path: at('link') }];
    config = agentConfig.parse({ name: 'a', address: '10.0.0.1:7443', stateDir: top, storage });
  });
  afterEach(() => rm(top, { recursive: true, force: true }));

  const at = (...parts: string[]): string => path.join(top, ...parts);
  const disk = (change: object = {}) => ({
    name: 'disk0',
    file: at('slow', 'disk.raw'),
    bytes: 1024,
    allocatedBytes: 512,
    fixed: undefined,
    work: {},
    ...change,
  });
  const place = (to: string, change: object = {}) =>
    placeFor(config, { guest: 'db1', disk: disk(change), to });

  test('is a file, a directory that is there, or one that is to be made', async () => {
    assert.equal((await place(at('slow', 'new.raw'))).file, at('slow', 'new.raw'));
    assert.equal((await place(at('fast', 'dir'))).file, at('fast', 'dir', 'disk.raw'));
    const made = await place(`${at('fast', 'deep', 'er')}/`);
    assert.equal(made.file, at('fast', 'deep', 'er', 'disk.raw'));
    assert.deepEqual(made.directories, [at('fast', 'deep'), at('fast', 'deep', 'er')]);
  });

  test('may be said by the last part of a directory of `storage`, or by the path that the configuration has', async () => {
    assert.equal((await place('fast')).file, at('fast', 'disk.raw'));
    assert.equal((await place(at('link', 'x.raw'))).file, at('fast', 'x.raw'));
  });

  for (const [what, to] of [
    ['outside of `storage`', () => at('else', 'x')],
    ['outside of it by way of a part that leads up', () => `${at('fast')}/../else/x`],
    ['the file itself', () => at('slow', 'disk.raw')],
    ['a path that is not absolute', () => 'fast/x'],
    ['an unknown name', () => 'gold'],
  ] as const) {
    test(`is not ${what}`, async () => {
      await assert.rejects(place(to()), { code: 'GODWIT_DISK_PLACE' });
    });
  }

  test('is not behind a symbolic link below `storage`', async () => {
    await symlink(at('else'), at('fast', 'out'));
    await assert.rejects(place(at('fast', 'out', 'x')), { code: 'GODWIT_DISK_PLACE' });
  });

  test('has room for what the image takes', async () => {
    await assert.rejects(place('fast', { allocatedBytes: 2 ** 60 }), { code: 'GODWIT_DISK_SPACE' });
  });

  test('is none for a disk that lies elsewhere itself', async () => {
    await writeFile(at('else', 'disk.raw'), 'x');
    const elsewhere = place('fast', { file: at('else', 'disk.raw') });
    await assert.rejects(elsewhere, { code: 'GODWIT_DISK_FIXED' });
  });
});
