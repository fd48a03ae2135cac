import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  creationOf,
  makeEmptyFile,
  type Blank,
} from '../../../../src/drivers/qemu/images/make-image.ts';
import { blockNode } from '../spec/samples.ts';

const GIB = 1024 ** 3;
const make = {
  clusterBytes: 131_072,
  version: 'v3',
  refcountBits: 8,
  lazyRefcounts: true,
  extendedL2: true,
  compression: 'zstd',
} as const;
const like: Blank['like'] = blockNode('vda', { format: 'qcow2', make });
const blank: Blank = { node: 'vda', file: '/p/vda', like, backingFormat: undefined, bytes: GIB };

describe('an empty image', () => {
  let top: string;
  before(async () => {
    top = await mkdtemp(path.join(os.tmpdir(), 'godwit-make-'));
  });
  after(() => rm(top, { recursive: true, force: true }));

  test('an image is created with the features of its original', () => {
    assert.deepEqual(creationOf(blank, 'blank0'), {
      driver: 'qcow2',
      file: 'blank0',
      size: GIB,
      version: 'v3',
      'cluster-size': 131_072,
      'refcount-bits': 8,
      'lazy-refcounts': true,
      'extended-l2': true,
      'compression-type': 'zstd',
    });
  });

  test('an image names its backing file with its format, and is not created without a required one', () => {
    const over = { ...blank, like: { ...like, backing: 'base' }, backingFormat: 'raw' } as const;
    const made = creationOf({ ...over, backingFile: '/p/base' }, 'blank0');
    assert.deepEqual(
      [made && Reflect.get(made, 'backing-file'), made && Reflect.get(made, 'backing-fmt')],
      ['/p/base', 'raw'],
    );
    assert.equal(creationOf(over, 'blank0'), undefined);
    assert.equal(creationOf({ ...blank, backingFile: '/p/base' }, 'blank0'), undefined);
    const { make: _, ...unknown } = like;
    assert.equal(creationOf({ ...blank, like: unknown }, 'blank0'), undefined);
  });

  test('an image takes no storage, and never replaces content', async () => {
    const file = path.join(top, 'raw');
    await makeEmptyFile(file, 4 * GIB);
    const { size, blocks, mode } = await stat(file);
    assert.deepEqual([size, blocks * 512 < 65_536, mode & 0o777], [4 * GIB, true, 0o600]);
    await assert.rejects(makeEmptyFile(file, GIB), /is there already/);
    const empty = path.join(top, 'empty');
    await writeFile(empty, '');
    await makeEmptyFile(empty, 512);
    assert.equal((await stat(empty)).size, 512);
    const link = path.join(top, 'link');
    await symlink(path.join(top, 'elsewhere'), link);
    await assert.rejects(makeEmptyFile(link, 512), { code: 'ELOOP' });
  });
});
