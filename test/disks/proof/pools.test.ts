import assert from 'node:assert/strict';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import {
  below,
  locate,
  newFileIn,
  openPools,
  resolveIn,
  type Pool,
} from '../../../src/disks/proof/pools.ts';

describe('a host’s storage', () => {
  let top: string;
  let pools: Pool[];

  before(async () => {
    top = await realpath(await mkdtemp(path.join(tmpdir(), 'godwit-pools-')));
    await mkdir(path.join(top, 'pool/vm'), { recursive: true });
    await writeFile(path.join(top, 'pool/vm/disk.raw'), 'x');
    await writeFile(path.join(top, 'secret'), 'x');
    await symlink('../../secret', path.join(top, 'pool/vm/out.raw'));
    await symlink('disk.raw', path.join(top, 'pool/vm/in.raw'));
    await symlink('pool', path.join(top, 'link'));
    pools = await openPools([
      { path: path.join(top, 'link') },
      { path: path.join(top, 'pool') },
      { path: path.join(top, 'missing') },
    ]);
  });
  after(() => rm(top, { recursive: true, force: true }));

  const found = async (file: string) => locate(pools, path.join(top, file));
  const only = (): Pool => {
    const [pool] = pools;
    assert.ok(pool !== undefined);
    return pool;
  };

  test('the storage has a place for a new file, with the directories that it needs, the outermost first', async () => {
    const root = path.join(top, 'pool');
    assert.deepEqual(await newFileIn(only(), 'vm/new.raw'), {
      found: { file: path.join(root, 'vm/new.raw'), directories: [] },
    });
    assert.deepEqual(await newFileIn(only(), 'vm/a/b/new.raw'), {
      found: {
        file: path.join(root, 'vm/a/b/new.raw'),
        directories: [path.join(root, 'vm/a'), path.join(root, 'vm/a/b')],
      },
    });
  });

  test('the storage has no place for an existing file, and none behind a symbolic link or a file', async () => {
    await symlink('vm', path.join(top, 'pool/by-link'));
    await symlink('nowhere', path.join(top, 'pool/dangling'));
    for (const part of ['vm/disk.raw', 'vm/in.raw', 'by-link/new.raw', 'dangling/new.raw']) {
      assert.ok('problem' in (await newFileIn(only(), part)), part);
    }
    assert.ok('problem' in (await newFileIn(only(), 'vm/disk.raw/new.raw')));
    assert.ok('problem' in (await newFileIn(only(), '../secret2')));
  });

  test('the storage has each existing directory once, however often it is named', () => {
    assert.deepEqual(
      pools.map(({ root }) => root),
      [path.join(top, 'pool')],
    );
    assert.ok(!only().id.includes('pool'));
  });

  test('the storage holds a file inside of it, even through a symbolic link', async () => {
    for (const file of ['pool/vm/disk.raw', 'link/vm/disk.raw', 'pool/vm/in.raw']) {
      assert.deepEqual(await found(file), { found: { pool: only(), path: 'vm/disk.raw' } });
    }
  });

  test('the storage does not hold a target outside of it, even through its own symbolic link', async () => {
    for (const file of ['pool/vm/out.raw', 'secret']) {
      const reported = await found(file);
      assert.ok(
        'problem' in reported && reported.problem.includes(only().root),
        JSON.stringify(reported),
      );
    }
    assert.deepEqual(await found('pool/vm'), { problem: 'it is not a file' });
    assert.ok('problem' in (await found('pool/gone')));
    const none = await locate([], path.join(top, 'secret'));
    assert.ok('problem' in none && none.problem.includes('`storage`'));
  });

  test("the storage opens another host's path only if no symbolic link is on the way", async () => {
    const opened = (part: string) => resolveIn(only(), part, 'file');
    assert.deepEqual(await opened('vm/disk.raw'), { found: path.join(top, 'pool/vm/disk.raw') });
    for (const part of ['vm/out.raw', 'vm/in.raw', '../secret', 'vm', 'gone']) {
      assert.ok('problem' in (await opened(part)), part);
    }
    assert.deepEqual(await resolveIn(only(), '', 'directory'), { found: only().root });
  });

  test('the storage has nothing below a directory that does not exist', () => {
    const part = fc.constantFrom('..', 'a', 'pool', '.', 'poolx');
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        const file = path.join('/srv/pool', ...parts);
        assert.equal(below('/srv/pool', file) !== undefined, file.startsWith('/srv/pool/'));
      }),
    );
  });
});
