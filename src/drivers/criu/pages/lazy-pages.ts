import { open, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { PAGE } from './memory.ts';
import { readPagemap } from './pagemap.ts';

/** Page files of a dump by number, with 1 for each page that may follow while the container runs. */
export async function lazyPages(images: string): Promise<Map<number, Uint8Array>> {
  const found = new Map<number, Uint8Array>();
  for (const name of await readdir(images)) {
    // Shared memory has other pagemaps, and is needed before anything runs.
    if (!/^pagemap-\d+\.img$/.test(name)) continue;
    const { file, lazy } = readPagemap(await readFile(path.join(images, name)));
    const pages = found.get(file) ?? new Uint8Array(await pagesIn(images, file));
    found.set(file, pages);
    for (const span of lazy) {
      if (span.at + span.pages > pages.length)
        throw new Error(`${name} has more pages than there are`);
      pages.fill(1, span.at, span.at + span.pages);
    }
  }
  return found;
}

export const pagesFile = (images: string, file: number): string =>
  path.join(images, `pages-${file}.img`);

async function pagesIn(images: string, file: number): Promise<number> {
  const handle = await open(pagesFile(images, file));
  try {
    return (await handle.stat()).size / PAGE;
  } finally {
    await handle.close();
  }
}

export function pagesNumber(name: string): number | undefined {
  const found = /^pages-(0|[1-9]\d{0,8})\.img$/.exec(name)?.[1];
  return found === undefined ? undefined : Number(found);
}
