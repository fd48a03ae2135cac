import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmdirSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  changesBetween,
  digestOf,
  MAX_DEPTH,
  scanTree,
  type Scan,
  type Stamp,
} from '../../../src/drivers/criu/changes.ts';
import { removeTree } from '../../../src/system/files/remove-tree.ts';

const FILE = 0o100644;
const DIRECTORY = 0o40755;
const stamp = (ino: number, ctime: number, mode = FILE, size = 1): Stamp => ({
  mode,
  uid: 0,
  gid: 0,
  size: BigInt(size),
  ino: BigInt(ino),
  ctimeNs: BigInt(ctime),
});

/** A tree of a few names; what is below a file is left out. */
const trees: fc.Arbitrary<Scan> = fc
  .array(
    fc.record({
      key: fc.constantFrom('./a', './a/b', './a/b/c', './d', './d/e', './ab', './ab/x'),
      ino: fc.integer({ min: 1, max: 3 }),
      ctime: fc.integer({ min: 1, max: 5 }),
      mode: fc.constantFrom(FILE, DIRECTORY),
    }),
  )
  .map((entries) => {
    const all = new Map(entries.map(({ key, ino, ctime, mode }) => [key, stamp(ino, ctime, mode)]));
    const found = new Map([['.', stamp(9, 1, DIRECTORY)]]);
    for (const key of [...all.keys()].toSorted()) {
      const above = found.get(key.slice(0, key.lastIndexOf('/')));
      const own = all.get(key);
      if (above?.mode === DIRECTORY && own !== undefined) found.set(key, own);
    }
    return found;
  });

test('the present tree is the unchanged rest of the previous tree plus the changes', () => {
  fc.assert(
    fc.property(trees, trees, fc.integer({ min: 1, max: 6 }), (before, now, since) => {
      const { changed, gone } = changesBetween(before, now, BigInt(since));
      const made = new Map(before);
      for (const key of gone) {
        for (const each of before.keys()) {
          if (each === key || each.startsWith(`${key}/`)) made.delete(each);
        }
      }
      for (const key of changed) {
        const own = now.get(key);
        assert.ok(own);
        made.set(key, own);
      }
      assert.equal(digestOf(made), digestOf(now));
      for (const [key, own] of now) assert.deepEqual(made.get(key), own);
      // Nothing twice: what lies in a directory that is gone goes with it.
      for (const key of gone) assert.ok(!gone.some((each) => key.startsWith(`${each}/`)));
    }),
    { numRuns: 500 },
  );
});

test('unwritten files are left out, and files that may have been written during the first look are not', () => {
  const before = new Map([
    ['.', stamp(1, 5, DIRECTORY)],
    ['./old', stamp(2, 5)],
    ['./late', stamp(3, 10)],
  ]);
  const now = new Map([...before, ['./new', stamp(4, 20)]]);
  assert.deepEqual(changesBetween(before, now, 10n), { changed: ['./late', './new'], gone: [] });
});

test('trees that differ in a name, a mode, an owner or a size have other digests', () => {
  const one = new Map([['./a', stamp(1, 1)]]);
  const same = new Map([['./a', stamp(7, 9)]]);
  assert.equal(digestOf(one), digestOf(same));
  for (const other of [
    new Map([['./b', stamp(1, 1)]]),
    new Map([['./a', stamp(1, 1, 0o100600)]]),
    new Map([['./a', { ...stamp(1, 1), uid: 1 }]]),
    new Map([['./a', stamp(1, 1, FILE, 2)]]),
    new Map([...one, ['./b', stamp(1, 1)]]),
  ])
    assert.notEqual(digestOf(one), digestOf(other));
});

test('a look at a tree continues after a directory that it has seen is removed', async () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'godwit-changes-'));
  const all = Array.from({ length: 130 }, (_, index) => path.join(directory, `d${index}`));
  for (const each of all) mkdirSync(each);
  let looked = 0;
  const signal = {
    throwIfAborted: () => {
      looked += 1;
      // Those of the first batch were seen.
      if (looked === 2) for (const each of all) rmdirSync(each);
    },
  } as AbortSignal;
  try {
    assert.equal((await scanTree(directory, signal)).size, 65);
  } finally {
    await removeTree(directory);
  }
});

test('a look at a tree is not led out of it by a link that replaces a directory', async () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'godwit-changes-'));
  const [tree, outside] = ['tree', 'outside'].map((each) => path.join(directory, each));
  mkdirSync(path.join(outside ?? '', 'secret'), { recursive: true });
  const all = Array.from({ length: 130 }, (_, index) => path.join(tree ?? '', `d${index}`));
  for (const each of all) mkdirSync(path.join(each, 'own'), { recursive: true });
  let looked = 0;
  const signal = {
    throwIfAborted: () => {
      looked += 1;
      // The first batch was seen as directories, and none of them is open yet.
      if (looked !== 2) return;
      for (const each of all) {
        renameSync(each, `${each}.away`);
        symlinkSync(outside ?? '', each);
      }
    },
  } as AbortSignal;
  try {
    const keys = [...(await scanTree(tree ?? '', signal)).keys()];
    assert.ok(looked >= 2);
    assert.deepEqual(
      keys.filter((each) => each.includes('secret')),
      [],
    );
  } finally {
    await removeTree(directory);
  }
});

test('a look at a tree ends if its directories are nested too deeply', async () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'godwit-changes-'));
  const signal = AbortSignal.timeout(30_000);
  const deep = (levels: number): string => path.join(directory, ...Array<string>(levels).fill('d'));
  try {
    mkdirSync(deep(MAX_DEPTH - 1), { recursive: true });
    assert.equal((await scanTree(directory, signal)).size, MAX_DEPTH);
    mkdirSync(deep(MAX_DEPTH), { recursive: true });
    await assert.rejects(scanTree(directory, signal), /more than 256 directories in one another/);
  } finally {
    await removeTree(directory);
  }
});
