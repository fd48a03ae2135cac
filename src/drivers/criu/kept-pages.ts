import { hash } from 'node:crypto';
import { mkdir, open, readdir, rename, stat, statfs } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../clock.ts';
import { removeTree } from '../../host/remove-tree.ts';
import { PAGE } from './memory.ts';
import { PageNumbers } from './page-numbers.ts';

/**
 * Memory of containers that have left this host, as CRIU wrote it down: one that comes back finds here what did not change
 * meanwhile. It is found by content alone, and only by a container of the same name.
 */

/** Longer than this nobody's memory stays. */
const KEPT_MS = 24 * 3_600_000;
const PART_PAGES = 256;
/** The source waits meanwhile: what is not read by then comes again. */
const READ_MS = 20_000;
/** So much more has to be free where they are: what is kept never stands in the way of a migration. */
const ROOM_TIMES = 4;
const NO_PAGE = Buffer.alloc(PAGE);
const PAGES = /^pages-\d{1,9}\.img$/;

/** Below the directory of records; its own name begins with a dot, as no container's does. */
export function keptDirectory(records: string): string {
  return path.join(records, '.kept');
}

/** Keeps the pages of a dump in place of those of the container's earlier one; not more than `mostBytes` of all together. */
export async function keepPages(
  images: string,
  { records, name, mostBytes }: { records: string; name: string; mostBytes: number },
): Promise<void> {
  const top = keptDirectory(records);
  const own = path.join(top, name);
  await removeTree(own);
  const files = (await readdir(images)).filter((each) => PAGES.test(each));
  const sizes = await Promise.all(
    files.map(async (each) => (await stat(path.join(images, each))).size),
  );
  const bytes = sizes.reduce((sum, each) => sum + each, 0);
  await dropKept(top, mostBytes - bytes);
  const { bavail, bsize } = await statfs(images);
  if (bytes > mostBytes || bytes === 0 || bavail * bsize < ROOM_TIMES * bytes) return;
  await mkdir(own, { recursive: true, mode: 0o700 });
  for (const each of files) await rename(path.join(images, each), path.join(own, each));
}

interface KeptOf {
  readonly place: string;
  readonly bytes: number;
  readonly atMs: number;
}

/** What is kept of each container. */
async function allKept(top: string): Promise<KeptOf[]> {
  const names = await readdir(top).catch(() => []);
  return Promise.all(
    names.map(async (name) => {
      const place = path.join(top, name);
      const files = await readdir(place).catch(() => []);
      const facts = await Promise.all(
        files.map((each) => stat(path.join(place, each)).catch(() => undefined)),
      );
      const bytes = facts.reduce((sum, each) => sum + (each?.size ?? 0), 0);
      return { place, bytes, atMs: (await stat(place).catch(() => undefined))?.mtimeMs ?? 0 };
    }),
  );
}

/** Drops what is too old, and then the oldest until no more than so many bytes are left. */
export async function dropKept(top: string, mostBytes: number): Promise<void> {
  const found = await allKept(top);
  let left = 0;
  for (const { place, bytes, atMs } of found.toSorted((one, other) => other.atMs - one.atMs)) {
    const isOld = systemClock.wallMs() - atMs > KEPT_MS;
    if (!isOld && left + bytes <= mostBytes) left += bytes;
    else await removeTree(place);
  }
}

/** What all of it takes, bytes: room that is there for the asking. */
export async function keptSize(records: string): Promise<number> {
  const found = await allKept(keptDirectory(records));
  return found.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** What is kept of one container, by content. */
export class KeptPages {
  readonly #files: FileHandle[] = [];
  readonly #numbers = new PageNumbers();
  /** Of each number: its file, and its place in that, in pages. */
  readonly #places: (readonly [file: number, page: number])[] = [];

  /** Reads of it what can be read, at most `mostBytes`, and `readMs` long. Never rejects: without it all comes anew. */
  static async open(
    directory: string,
    mostBytes: number,
    signal: AbortSignal,
    readMs = READ_MS,
  ): Promise<KeptPages> {
    const kept = new KeptPages();
    const untilMs = systemClock.monotonicMs() + readMs;
    const isOver = (): boolean => signal.aborted || systemClock.monotonicMs() > untilMs;
    const names = await readdir(directory).catch(() => []);
    let left = mostBytes;
    for (const name of names.filter((each) => PAGES.test(each))) {
      try {
        const handle = await open(path.join(directory, name));
        kept.#files.push(handle);
        left = await kept.#read(handle, left, isOver);
      } catch {
        // Of this file nothing more is known than what was read.
      }
    }
    return kept;
  }

  async #read(handle: FileHandle, mostBytes: number, isOver: () => boolean): Promise<number> {
    const part = Buffer.alloc(PART_PAGES * PAGE);
    let at = 0;
    while (at + PAGE <= mostBytes && !isOver()) {
      const most = Math.min(part.length, mostBytes - at);
      const { bytesRead } = await handle.read(part, 0, most, at);
      const whole = Math.floor(bytesRead / PAGE);
      for (let index = 0; index < whole; index += 1) {
        const page = part.subarray(index * PAGE, (index + 1) * PAGE);
        if (page.equals(NO_PAGE)) continue;
        const digest = hash('sha256', page, 'buffer');
        if (this.#numbers.get(digest) !== undefined) continue;
        this.#numbers.add(digest);
        this.#places.push([this.#files.length - 1, at / PAGE + index]);
      }
      if (whole === 0) break;
      at += whole * PAGE;
    }
    return mostBytes - at;
  }

  get size(): number {
    return this.#numbers.size;
  }

  /** For each digest its page; undefined where none has that content now. Those beside one another are read together. */
  async find(digests: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    const places = digests.map((digest) => this.#places[this.#numbers.get(digest) ?? -1]);
    const found: (Buffer | undefined)[] = [];
    while (found.length < places.length) {
      const first = places[found.length];
      if (first === undefined) {
        found.push(undefined);
        continue;
      }
      const [file, at] = first;
      let count = 1;
      for (; ; count += 1) {
        const next = places[found.length + count];
        if (next?.[0] !== file || next[1] !== at + count) break;
      }
      const pages = Buffer.alloc(count * PAGE);
      await this.#files[file]?.read(pages, 0, pages.length, at * PAGE);
      for (let index = 0; index < count; index += 1) {
        const page = pages.subarray(index * PAGE, (index + 1) * PAGE);
        const isSame = digests[found.length]?.equals(hash('sha256', page, 'buffer')) === true;
        found.push(isSame ? page : undefined);
      }
    }
    return found;
  }

  async close(): Promise<void> {
    await Promise.all(this.#files.map((each) => each.close().catch(() => undefined)));
    this.#files.length = 0;
  }
}
