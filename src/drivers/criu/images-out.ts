import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { DigestsOut } from './kept-pages.ts';
import { pagesNumber } from './lazy-pages.ts';
import type { PageSender } from './sender.ts';

/** Sends all that CRIU wrote down. `left`: of each file the pages that may come later. */
export async function sendImages(
  sender: PageSender,
  images: string,
  left: ReadonlyMap<number, Uint8Array> | undefined,
): Promise<void> {
  const names = await readdir(images);
  for (const name of names.filter((each) => !/\.log$|^stats-|^\./.test(each))) {
    const [file, number] = [path.join(images, name), pagesNumber(name)];
    const late = number === undefined ? undefined : left?.get(number);
    const isWhole = number !== undefined && left === undefined;
    const digests = isWhole ? new DigestsOut(file) : undefined;
    await sender.file(name, 'image', file, { late, digests: digests?.take });
    await digests?.end();
  }
}
