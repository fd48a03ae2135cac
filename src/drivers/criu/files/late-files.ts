import { open, readdir, readFile, type FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { ignoring } from '../../../system/ignoring.ts';
import { KINDS, MAX_FRAME, type Frame } from '../link/frames.ts';
import { pagesFile } from '../pages/lazy-pages.ts';
import { PAGE } from '../pages/memory.ts';
import { reserveAll } from '../pager/kernel.ts';
import { cameFile } from '../pager/pages.ts';

const unpack = promisify(zstdDecompress);
const NAMED = 8 * 1024 * 1024;

interface PageFile {
  readonly pages: FileHandle;
  readonly map: FileHandle;
  readonly came: Buffer;
}

/** Page files of a container that runs here while the rest of its pages arrives. */
export class LateFiles {
  readonly #files = new Map<number, PageFile>();

  async open(images: string): Promise<void> {
    for (const name of await readdir(images)) {
      const number = /^came-(\d+)\.map$/.exec(name)?.[1];
      if (number === undefined) continue;
      const file = Number(number);
      const map = await open(cameFile(images, file), 'r+');
      const pages = await open(pagesFile(images, file), 'r+').catch(ignoring('ENOENT'));
      // The end of the migration removes it first; all pages were delivered then.
      if (pages === undefined) {
        await map.close();
        continue;
      }
      this.#files.set(file, { pages, map, came: await readFile(cameFile(images, file)) });
    }
  }

  /** Allocates the disk space of all pages. Rejects if the disk has less. */
  async reserve(): Promise<void> {
    for (const { pages, came } of this.#files.values())
      if (came.length > 0) await reserveAll(pages.fd, came.length * PAGE);
  }

  /** Writes received pages; `each` is called after the write. Throws for an unknown form. */
  async take(
    { kind, body }: Frame,
    each: (file: number, first: number, count: number) => void,
  ): Promise<void> {
    if (kind !== KINDS.late && kind !== KINDS.latePacked)
      throw new Error(`a frame of kind ${kind}`);
    const [file, first] = [body.readUInt32LE(0), body.readUInt32LE(4)];
    const given = body.subarray(8);
    const bytes = kind === KINDS.late ? given : await unpack(given, { maxOutputLength: MAX_FRAME });
    const found = this.#files.get(file);
    const count = bytes.length / PAGE;
    const isOurs = found !== undefined && Number.isInteger(count) && count > 0;
    if (!isOurs || first + count > found.came.length) throw new Error('pages of no file');
    const { came, pages, map } = found;
    for (let page = first; page < first + count; page += 1) {
      // An existing page may be in use.
      if (came[page] === 1) continue;
      const end = came.subarray(page, first + count).indexOf(1);
      const run = end === -1 ? first + count - page : end;
      const at = (page - first) * PAGE;
      await whole(pages.write(bytes, at, run * PAGE, page * PAGE), run * PAGE);
      // A page that was not recorded counts as missing and is requested again.
      await whole(map.write(Buffer.alloc(run, 1), 0, run, page), run);
      came.fill(1, page, page + run);
      each(file, page, run);
      page += run - 1;
    }
  }

  *missing(): Generator<Buffer> {
    for (const [file, { came }] of this.#files) {
      for (let first = 0; first < came.length; first += NAMED) {
        const count = Math.min(NAMED, came.length - first);
        const body = Buffer.alloc(8 + Math.ceil(count / 8));
        body.writeUInt32LE(file, 0);
        body.writeUInt32LE(first, 4);
        for (let index = 0; index < count; index += 1) {
          const at = 8 + (index >> 3);
          if (came[first + index] === 0) body[at] = (body[at] ?? 0) | (1 << (index & 7));
        }
        yield body;
      }
    }
  }

  async close(): Promise<void> {
    const files = [...this.#files.values()];
    this.#files.clear();
    await Promise.all(files.flatMap(({ pages, map }) => [pages.close(), map.close()]));
  }
}

async function whole(
  work: Promise<{ readonly bytesWritten: number }>,
  bytes: number,
): Promise<void> {
  const { bytesWritten } = await work;
  if (bytesWritten !== bytes) throw new Error(`${bytesWritten} of ${bytes} bytes`);
}
