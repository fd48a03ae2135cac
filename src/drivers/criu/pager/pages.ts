import { closeSync, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { PAGE } from '../pages/memory.ts';
import { readPagemap } from '../pages/pagemap.ts';
import type { Span } from './address-space.ts';
import { mapFile } from './kernel.ts';

/** One byte per page of `pages-N.img`: 1 if it has arrived. */
export const cameFile = (images: string, file: number): string =>
  path.join(images, `came-${file}.map`);

interface PageFile {
  readonly at: bigint;
  readonly came: Uint8Array;
}

export class Pages {
  readonly #images: string;
  readonly #files = new Map<number, PageFile>();

  constructor(images: string) {
    this.#images = images;
    for (const name of readdirSync(images)) {
      const file = /^came-(\d+)\.map$/.exec(name)?.[1];
      if (file !== undefined) this.#open(Number(file));
    }
  }

  #open(file: number): void {
    const fd = openSync(path.join(this.#images, `pages-${file}.img`), 'r');
    try {
      const { size } = fstatSync(fd);
      const came = new Uint8Array(readFileSync(cameFile(this.#images, file)));
      if (came.length * PAGE !== size) throw new Error(`${came.length} pages in ${size} bytes`);
      this.#files.set(file, { at: mapFile(fd, size), came });
    } finally {
      closeSync(fd);
    }
  }

  look(): void {
    for (const [file, { came }] of this.#files)
      came.set(readFileSync(cameFile(this.#images, file)));
  }

  spansOf(task: number): readonly Span[] {
    return readPagemap(readFileSync(path.join(this.#images, `pagemap-${task}.img`))).lazy;
  }

  came(file: number, first: number, count: number): void {
    this.#files.get(file)?.came.fill(1, first, first + count);
  }

  isThere(file: number, page: number): boolean {
    return this.#files.get(file)?.came[page] === 1;
  }

  thereFrom(file: number, page: number, most: number): number {
    let count = 0;
    while (count < most && this.isThere(file, page + count)) count += 1;
    return count;
  }

  /** Page's address in this process. Throws if it has not arrived. */
  addressOf(file: number, page: number): bigint {
    const found = this.#files.get(file);
    if (found?.came[page] !== 1) throw new Error(`page ${page} of ${file} has not come`);
    return found.at + BigInt(page) * BigInt(PAGE);
  }
}
