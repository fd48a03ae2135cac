import assert from 'node:assert/strict';
import { readlinkSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import {
  discard,
  keep,
  madeNames,
  makeDirectories,
  name,
  removeDirectories,
  type StagedFile,
} from '../../../src/disks/proof/made-files.ts';

describe('files of a migration', () => {
  let directory: string;
  let made: StagedFile;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'godwit-made-'));
    made = madeNames(path.join(directory, 'disk.raw'), 'm1', 0);
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const make = () => writeFile(made.temporary, 'made');
  const there = () => readdir(directory);

  /** A mover may be killed after each of these. */
  const steps: (() => Promise<unknown>)[] = [() => make(), () => name(made)];

  for (let done = 0; done <= steps.length; done += 1) {
    test(`a file leaves nothing when it is given up after ${done} of ${steps.length} steps, even twice`, async () => {
      for (const step of steps.slice(0, done)) await step();
      await discard(made);
      await discard(made);
      assert.deepEqual(await there(), []);
    });
  }

  test('a kept file stays only under its name, even if it is kept twice', async () => {
    await make();
    await name(made);
    await name(made);
    await keep(made);
    await keep(made);
    assert.deepEqual(await there(), ['disk.raw']);
    await discard(made);
    assert.deepEqual(await there(), ['disk.raw'], 'what is kept is not given up any more');
  });

  test('a made file never replaces an existing one, and leaves that when it is given up', async () => {
    await writeFile(made.file, 'somebody else’s');
    await make();
    await assert.rejects(name(made), { code: 'EEXIST' });
    await discard(made);
    assert.deepEqual(await there(), ['disk.raw']);
    assert.equal(await readFile(made.file, 'utf8'), 'somebody else’s');
  });

  test('a file of another migration has another temporary name', () => {
    assert.notEqual(madeNames(made.file, 'm2', 0).temporary, made.temporary);
    assert.notEqual(madeNames(made.file, 'm1', 1).temporary, made.temporary);
    assert.equal(path.dirname(made.temporary), path.dirname(made.file));
  });

  test('the name of a new directory is on the disk before a file comes into it', async (t) => {
    const handle = await open(directory);
    const synced: string[] = [];
    const prototype = Object.getPrototypeOf(handle) as typeof handle;
    await handle.close();
    t.mock.method(prototype, 'sync', async function sync(this: typeof handle) {
      synced.push(readlinkSync(`/proc/self/fd/${this.fd}`));
    });
    const outer = path.join(directory, 'vm');
    const inner = path.join(outer, 'web1');
    await makeDirectories([outer, inner]);
    assert.deepEqual(synced, [directory, outer]);
    // A mover that died before the sync leaves a directory that is there.
    await makeDirectories([inner]);
    assert.deepEqual(synced, [directory, outer, outer]);
  });

  test('the directories of a file are created and removed again, unless something else is in them by then', async () => {
    const outer = path.join(directory, 'vm');
    const inner = path.join(outer, 'web1');
    await makeDirectories([outer, inner]);
    await makeDirectories([outer, inner]);
    await mkdir(path.join(outer, 'web2'));
    await removeDirectories([outer, inner]);
    await removeDirectories([outer, inner]);
    assert.deepEqual(await readdir(outer), ['web2']);
  });
});
