import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import {
  mkdir,
  mkdtemp,
  open,
  readFile,
  readdir,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { mustBeItsOwn, placeFor } from '../../../src/disks/move/place.ts';
import { giveUpOld } from '../../../src/disks/move/files.ts';
import { identityOf } from '../../../src/system/files/open-files.ts';
import { agentConfig, type AgentConfig } from '../../../src/config.ts';
import type { DiskMovePlan } from '../../../src/migration/disk-move.ts';

describe('the destination of a disk', () => {
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

  test('a place is a file, an existing directory, or a directory to be created', async () => {
    assert.equal((await place(at('slow', 'new.raw'))).file, at('slow', 'new.raw'));
    assert.equal((await place(at('fast', 'dir'))).file, at('fast', 'dir', 'disk.raw'));
    const made = await place(`${at('fast', 'deep', 'er')}/`);
    assert.equal(made.file, at('fast', 'deep', 'er', 'disk.raw'));
    assert.deepEqual(made.directories, [at('fast', 'deep'), at('fast', 'deep', 'er')]);
  });

  test('a place may be the last part of a directory in `storage`, or the configured path', async () => {
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
    test(`a place is not ${what}`, async () => {
      await assert.rejects(place(to()), { code: 'GODWIT_DISK_PLACE' });
    });
  }

  test('a place is not behind a symbolic link below `storage`', async () => {
    await symlink(at('else'), at('fast', 'out'));
    await assert.rejects(place(at('fast', 'out', 'x')), { code: 'GODWIT_DISK_PLACE' });
  });

  test('a place has room for the size of the image', async () => {
    await assert.rejects(place('fast', { allocatedBytes: 2 ** 60 }), { code: 'GODWIT_DISK_SPACE' });
  });

  test('a disk outside of the storage has no place', async () => {
    await writeFile(at('else', 'disk.raw'), 'x');
    const elsewhere = place('fast', { file: at('else', 'disk.raw') });
    await assert.rejects(elsewhere, { code: 'GODWIT_DISK_FIXED' });
  });
});

describe('the old image of a moved disk', () => {
  let directory: string;
  let from: string;
  let holder: ChildProcess | undefined;
  const signal = AbortSignal.timeout(30_000);

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'godwit-old-'));
    from = path.join(directory, 'old.raw');
    await writeFile(from, 'the guest’s');
  });
  afterEach(async () => {
    if (holder?.kill('SIGKILL') === true) await once(holder, 'exit');
    holder = undefined;
    await rm(directory, { recursive: true, force: true });
  });

  const plan = async (): Promise<DiskMovePlan> => ({
    id: 'd-0123456789ab',
    request: { guest: 'db1', disk: 'disk0', to: '/x' },
    handle: { driver: 'pretended', name: 'db1' },
    createdAt: '2026-11-20T20:00:00.000Z',
    from,
    identity: (await identityOf(from)) ?? '',
    to: '/x',
    directories: [],
    work: {},
  });
  const hold = async (): Promise<number> => {
    const file = openSync(from, 'r+');
    holder = spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'ignore', file] });
    closeSync(file);
    await once(holder, 'spawn');
    return holder.pid ?? 0;
  };

  test("the old image is not copied while another program has it open; the guest's own hypervisor does not count", async () => {
    const disk = { name: 'disk0', file: from, bytes: 1, allocatedBytes: 1, fixed: undefined };
    const identity = (await identityOf(from)) ?? '';
    const pid = await hold();
    const own = { ...disk, identity, work: {} };
    await mustBeItsOwn('db1', own, pid, signal);
    await assert.rejects(mustBeItsOwn('db1', own, undefined, signal), {
      code: 'GODWIT_DISK_IN_USE',
      message: new RegExp(`process ${pid} \\(sleep\\) has it open as well`),
    });
  });

  test('the old image stays if another program opened it meanwhile, or if another file has its path', async () => {
    const asked = await plan();
    const pid = await hold();
    const used = await giveUpOld(asked, { isKept: false }, signal);
    assert.match(used.note ?? '', new RegExp(`process ${pid} \\(sleep\\) uses it`));
    assert.equal(used.kept, from);
    // Held open, so that no other file gets its number.
    await using own = await open(from);
    await writeFile(`${from}.new`, 'a backup');
    await rename(`${from}.new`, from);
    if (holder?.kill('SIGKILL') === true) await once(holder, 'exit');
    holder = undefined;
    assert.equal(await own.readFile('utf8'), 'the guest’s');
    const replaced = await giveUpOld(asked, { isKept: false }, signal);
    assert.match(replaced.note ?? '', /stays as it is: the file at this path is not the file/);
    assert.equal(await readFile(from, 'utf8'), 'a backup');
    assert.deepEqual(await readdir(directory), ['old.raw']);
  });

  test('the old image stays if the hypervisor had another file open when the move began', async () => {
    const { note } = await giveUpOld(
      { ...(await plan()), identity: '' },
      { isKept: false },
      signal,
    );
    assert.match(note ?? '', /stays as it is/);
    assert.equal(await readFile(from, 'utf8'), 'the guest’s');
  });
});
