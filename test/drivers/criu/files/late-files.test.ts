import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, type FileHandle } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { KINDS } from '../../../../src/drivers/criu/link/frames.ts';
import { LateFiles } from '../../../../src/drivers/criu/files/late-files.ts';
import { cameFile } from '../../../../src/drivers/criu/pager/pages.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';
import { PAGE, writeImages } from '../pager/images.ts';

test('a page whose arrival cannot be written down is requested again', async (t) => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-late-files-'));
  t.after(() => removeTree(directory));
  await writeImages(directory, 8);
  const files = new LateFiles();
  await files.open(directory);
  t.after(() => files.close());
  const body = Buffer.alloc(8 + PAGE, 7);
  body.writeUInt32LE(1, 0);
  body.writeUInt32LE(2, 4);
  const told: number[] = [];
  const take = (): Promise<void> =>
    files.take({ kind: KINDS.late, body }, (_file, first) => told.push(first));

  await using any = await open(cameFile(directory, 1));
  const handles = Object.getPrototypeOf(any) as FileHandle;
  // The page has its room; what says that it is there has none.
  const full = t.mock.method(
    handles,
    'write',
    async (_from: Buffer, _at: number, bytes: number) => {
      if (bytes === 1) throw Object.assign(new Error('no room'), { code: 'ENOSPC' });
      return { bytesWritten: bytes };
    },
  );
  await assert.rejects(take(), /no room/);
  full.mock.restore();
  assert.deepEqual(told, []);
  assert.deepEqual([...([...files.missing()][0]?.subarray(8) ?? [])], [0xff]);

  await take();
  assert.deepEqual(told, [2]);
  assert.deepEqual([...([...files.missing()][0]?.subarray(8) ?? [])], [0xfb]);
  assert.deepEqual([...(await readFile(cameFile(directory, 1)))], [0, 0, 1, 0, 0, 0, 0, 0]);
});
