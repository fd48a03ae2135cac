import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { removeTree } from '../../../src/system/files/remove-tree.ts';
import { tempDir } from '../../rpc/test-contract.ts';

/** Somebody who swaps the directory `inner` for a link to another one and back, as fast as it can. */
const SWAPPER = `
const { workerData: { inner, outside, aside }, parentPort } = require('node:worker_threads');
const fs = require('node:fs');
let stop = false;
parentPort.on('message', () => { stop = true; });
const ignore = (work) => { try { work(); } catch {} };
const turn = () => {
  for (let nth = 0; nth < 200; nth += 1) {
    ignore(() => fs.mkdirSync(inner));
    ignore(() => fs.writeFileSync(inner + '/own', ''));
    ignore(() => fs.renameSync(inner, aside));
    ignore(() => fs.symlinkSync(outside, inner));
    ignore(() => fs.unlinkSync(inner));
    ignore(() => fs.rmSync(aside, { recursive: true, force: true }));
  }
  if (stop) parentPort.postMessage('done'); else setImmediate(turn);
};
turn();
`;

test('removal deletes everything in a directory, and follows no link', async (t) => {
  const part = fc.constantFrom('a', 'b', '\u00e4', 'godwit-removed-1');
  const file = fc.record({
    at: fc.array(part, { minLength: 1, maxLength: 6 }),
    kind: fc.constantFrom('file', 'link', 'directory'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(file, { maxLength: 20 }), async (all) => {
      const root = tempDir(t);
      const outside = path.join(root, 'outside');
      const directory = path.join(root, 'guest');
      for (const each of [outside, directory]) mkdirSync(each);
      writeFileSync(path.join(outside, 'kept'), 'x');
      for (const { at, kind } of all) {
        const place = path.join(directory, ...at);
        try {
          mkdirSync(path.dirname(place), { recursive: true });
          if (kind === 'file') writeFileSync(place, 'x');
          else if (kind === 'link') symlinkSync(outside, place);
          else mkdirSync(place);
        } catch {
          // There is something of another kind already.
        }
      }
      rmSync(path.join(outside, 'a'), { recursive: true, force: true });
      const before = readdirSync(outside);
      await removeTree(directory);
      assert.deepEqual(readdirSync(root), ['outside']);
      assert.deepEqual(readdirSync(outside), before);
    }),
    { numRuns: 60 },
  );
});

test('a link that replaced the directory is removed, not its target; a missing one is not an error', async (t) => {
  const root = tempDir(t);
  const outside = path.join(root, 'outside');
  mkdirSync(outside);
  writeFileSync(path.join(outside, 'kept'), 'x');
  const directory = path.join(root, 'guest');
  symlinkSync(outside, directory);
  await removeTree(directory);
  assert.throws(() => lstatSync(directory), { code: 'ENOENT' });
  assert.deepEqual(readdirSync(outside), ['kept']);
  await removeTree(directory);
  await removeTree(path.join(root, 'not', 'there'));
});

test('nested directories, however deep, are removed', async (t) => {
  const root = tempDir(t);
  const directory = path.join(root, 'guest');
  mkdirSync(directory);
  // Longer than any path may be: each is made at the top and put around the one before.
  for (let depth = 0; depth < 3000; depth += 1) {
    const around = path.join(root, 'around');
    mkdirSync(around);
    renameSync(directory, path.join(around, 'd'));
    renameSync(around, directory);
  }
  await removeTree(directory);
  assert.equal(existsSync(directory), false);
});

test('nothing outside is removed while another process replaces directories by links', async (t) => {
  const root = tempDir(t);
  const outside = path.join(root, 'outside');
  mkdirSync(outside);
  const kept = Array.from({ length: 20 }, (_, nth) => `kept${nth}`);
  for (const name of kept) writeFileSync(path.join(outside, name), 'x');
  const directory = path.join(root, 'guest');
  mkdirSync(directory);
  const [inner, aside] = [path.join(directory, 'inner'), path.join(directory, 'aside')];
  const swapper = new Worker(SWAPPER, { eval: true, workerData: { inner, outside, aside } });
  t.after(() => swapper.terminate());
  for (let round = 0; round < 50; round += 1) {
    mkdirSync(directory, { recursive: true });
    await removeTree(directory).catch(() => undefined);
    assert.deepEqual(readdirSync(outside).toSorted(), kept.toSorted());
  }
  const ended = new Promise((resolve) => swapper.once('message', resolve));
  swapper.postMessage('stop');
  await ended;
  await removeTree(directory);
  assert.equal(existsSync(directory), false);
});
