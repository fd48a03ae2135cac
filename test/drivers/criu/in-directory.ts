import { mkdir, mkdtemp } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { removeTree } from '../../../src/system/files/remove-tree.ts';

/** Work in a directory of its own, with one for images in it, which is removed afterwards. */
export async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-pages-'));
  try {
    await mkdir(path.join(directory, 'images'));
    await work(directory);
  } finally {
    await removeTree(directory);
  }
}
