import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Canary } from '../../../../src/drivers/criu/canary.ts';
import { criuOptions } from '../../../../src/drivers/criu/options.ts';
import { imageMs, Runc } from '../../../../src/drivers/criu/runtimes/runc.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';

test('a dump may take longer the more memory the container has, and a timer can delay it', () => {
  assert.equal(imageMs(0), 180_000);
  assert.ok(imageMs(256 * 1024 ** 3) > 5_000_000);
  assert.ok(imageMs(Number.MAX_SAFE_INTEGER) < 2 ** 31);
});

test('CRIU is tried again after a failure, and not after a success', async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-canary-'));
  try {
    let tried = 0;
    const runc = {
      programs: undefined,
      versions: async () => ({ criu: '4.2', runc: '1.3' }),
      run: async () => {
        tried += 1;
        if (tried === 1) throw new Error('No space left on device');
        return '';
      },
    } as unknown as Runc;
    const canary = new Canary(runc, directory);
    const signal = AbortSignal.timeout(5000);
    assert.match((await canary.whyNot(signal)) ?? '', /No space/);
    assert.equal(await canary.whyNot(signal), undefined);
    assert.equal(await canary.whyNot(signal), undefined);
    assert.equal(await new Canary(runc, directory).whyNot(signal), undefined);
    assert.equal(tried, 2);
  } finally {
    await removeTree(directory);
  }
});

/** A runc that lists nothing, says what it was asked and, as the real one does, deletes what it can and says nothing. */
async function runcIn(directory: string) {
  const [root, said] = [path.join(directory, 'states'), path.join(directory, 'said')];
  const script = `#!/bin/sh\ncase "$*" in *list*) echo null;; *) echo "$*" >>${said}; rm -rf ${root}/box 2>/dev/null; exit 0;; esac\n`;
  await writeFile(path.join(directory, 'runc'), script, { mode: 0o755 });
  const options = criuOptions.parse({ root, keptBytes: 0, programs: directory });
  return { runc: new Runc('a', options, directory), state: path.join(root, 'box'), root, said };
}

test('the leftovers of a killed restore are removed, though runc does not list them', async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-runc-'));
  try {
    const { runc, state, root, said } = await runcIn(directory);
    await runc.remove('box');
    await mkdir(state, { recursive: true });
    assert.equal(await runc.state('box', AbortSignal.timeout(5000)), undefined);
    await runc.remove('box');
    assert.equal(await readFile(said, 'utf8'), `--root ${root} delete --force box\n`);
  } finally {
    await removeTree(directory);
  }
});

test("the root file system of a killed restore is unmounted from runc's directory, and none of it is deleted", async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-runc-'));
  try {
    const { runc, state } = await runcIn(directory);
    const [at, rootfs] = [path.join(state, 'criu-root'), path.join(directory, 'rootfs')];
    await mkdir(at, { recursive: true });
    await mkdir(rootfs);
    await writeFile(path.join(rootfs, 'kept'), 'all of it');
    await runc.run(['mount', '--bind', rootfs, at]);
    await runc.remove('box');
    assert.equal(existsSync(state), false);
    assert.equal(await readFile(path.join(rootfs, 'kept'), 'utf8'), 'all of it');
  } finally {
    await removeTree(directory);
  }
});
