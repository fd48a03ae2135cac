import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { findBackingFiles, ordered } from '../../../src/disks/backing/find.ts';
import { openPools } from '../../../src/disks/proof/pools.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const hash = (content: string | Buffer): string =>
  createHash('sha256').update(content).digest('hex');
const never = new AbortController().signal;

/** Hashes files, and remembers which. */
function identifier() {
  const hashed: string[] = [];
  return {
    hashed,
    identify: async (file: string) => {
      hashed.push(path.basename(file));
      const content = readFileSync(file);
      return { bytes: content.length, sha256: hash(content) };
    },
  };
}

async function host(t: TestContext, files: Record<string, string>) {
  const directory = tempDir(t);
  const roots = ['one', 'two'].map((name) => path.join(directory, name));
  for (const root of roots) mkdirSync(root);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(directory, name)), { recursive: true });
    writeFileSync(path.join(directory, name), content);
  }
  return { directory, pools: await openPools(roots.map((each) => ({ path: each }))) };
}

const wanted = (content: string, at = 'images/base.img') => ({
  node: 'base',
  pool: '0'.repeat(16),
  path: at,
  bytes: content.length,
  sha256: hash(content),
});

test('a file with the same content is found in any pool', async (t) => {
  const { pools } = await host(t, { 'one/x.img': 'other', 'two/deep/down/base.img': 'image' });
  const found = await findBackingFiles([wanted('image')], pools, identifier(), never);
  assert.deepEqual(found, [{ node: 'base', pool: pools[1]!.id, path: 'deep/down/base.img' }]);
});

test('a file with another name is used only if it is read-only for all users', async (t) => {
  const { pools, directory } = await host(t, { 'one/web2.img': 'image' });
  assert.deepEqual(await findBackingFiles([wanted('image')], pools, identifier(), never), []);
  chmodSync(path.join(directory, 'one/web2.img'), 0o444);
  const found = await findBackingFiles([wanted('image')], pools, identifier(), never);
  assert.deepEqual(found, [{ node: 'base', pool: pools[0]!.id, path: 'web2.img' }]);
});

test('a file with the same name and other content is not used, and one of another size is not read', async (t) => {
  const { pools } = await host(t, {
    'one/images/base.img': 'imagE',
    'one/large.img': 'larger image',
  });
  const images = identifier();
  assert.deepEqual(await findBackingFiles([wanted('image')], pools, images, never), []);
  assert.deepEqual(images.hashed, ['base.img']);
});

test('no symbolic link is followed, and no unfinished file is used', async (t) => {
  const { pools, directory } = await host(t, {
    'outside/base.img': 'image',
    'one/.godwit-m1-b0': 'image',
  });
  symlinkSync(path.join(directory, 'outside'), path.join(directory, 'one/link'));
  symlinkSync(path.join(directory, 'outside/base.img'), path.join(directory, 'one/base.img'));
  assert.deepEqual(await findBackingFiles([wanted('image')], pools, identifier(), never), []);
});

test('a file that another migration made, and may still remove, is not used', async (t) => {
  const { pools, directory } = await host(t, { 'one/images/base.img': 'image' });
  const [made, other] = ['images/base.img', 'images/.godwit-m1-b0'];
  linkSync(path.join(directory, 'one', made), path.join(directory, 'one', other));
  assert.deepEqual(await findBackingFiles([wanted('image')], pools, identifier(), never), []);
  rmSync(path.join(directory, 'one', other));
  assert.equal((await findBackingFiles([wanted('image')], pools, identifier(), never)).length, 1);
});

test('the likeliest files are looked at first, and only a few', () => {
  const at = (each: string) => ({ path: each, bytes: 5, fixed: true });
  const other = Array.from({ length: 20 }, (_, index) => at(`${index}`));
  const all = [...other, at('x/base.img'), at('images/base.img')];
  const paths = ordered({ path: 'images/base.img', bytes: 5 }, all).map((each) => each.path);
  assert.deepEqual(paths.slice(0, 3), ['images/base.img', 'x/base.img', '0']);
  assert.ok(paths.length <= 8);
});

test('a search that is given up ends', async (t) => {
  const { pools } = await host(t, { 'one/base.img': 'image' });
  const stop = new AbortController();
  stop.abort(new Error('not any more'));
  await assert.rejects(
    findBackingFiles([wanted('image')], pools, identifier(), stop.signal),
    /not any more/,
  );
});
