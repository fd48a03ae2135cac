import { hash } from 'node:crypto';
import { createWriteStream, type WriteStream } from 'node:fs';
import {
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  stat,
  statfs,
  type FileHandle,
} from 'node:fs/promises';
import path from 'node:path';
import { finished } from 'node:stream/promises';
import { systemClock } from '../../../clock.ts';
import { ignoring } from '../../../system/ignoring.ts';
import { removeTree } from '../../../system/files/remove-tree.ts';
import { DIGEST_BYTES } from '../link/frames.ts';
import { PAGE } from './memory.ts';
import { digestPage, isOfZeroes, isPageOf } from './page-digests.ts';
import type { AskedGroup } from './page-groups.ts';
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
const PAGES = /^pages-\d{1,9}\.img$/;

/** Where the digests of a file's pages are, so that nobody has to hash them once more: a container that comes back waits. */
export function digestsFile(pages: string): string {
  return pages.replace(/\.img$/, '.digests');
}

/** Writes these down as they come. Nobody waits for it or fails by it: what is not whole is not used. */
export class DigestsOut {
  readonly #file: WriteStream;

  constructor(pages: string) {
    this.#file = createWriteStream(digestsFile(pages), { mode: 0o600 });
    this.#file.on('error', () => {});
  }

  readonly take = (part: Buffer): void => void this.#file.write(Buffer.from(part));

  async end(): Promise<void> {
    this.#file.end();
    await finished(this.#file).catch(() => undefined);
  }
}

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
  for (const each of files) {
    const [from, to] = [path.join(images, each), path.join(own, each)];
    await rename(digestsFile(from), digestsFile(to)).catch(ignoring('ENOENT'));
    await rename(from, to);
  }
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
  /** Of each number: its place in its file, in pages. */
  #places = new Uint32Array(1024);
  /** And its digest. */
  #digests = Buffer.alloc(1024 * DIGEST_BYTES);
  /** Of each file: the first number that is in it. */
  readonly #firsts: number[] = [];

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
        const file = path.join(directory, name);
        const handle = await open(file);
        kept.#files.push(handle);
        kept.#firsts.push(kept.#numbers.size);
        const { size } = await handle.stat();
        const digests = await readFile(digestsFile(file)).catch(() => undefined);
        const whole = digests?.length === Math.ceil(size / PAGE) * DIGEST_BYTES;
        if (digests !== undefined && whole && !isOver()) left = kept.#know(digests, left);
        else left = await kept.#read(handle, left, isOver);
      } catch {
        // Of this file nothing more is known than what was read.
      }
    }
    return kept;
  }

  /** By digests that were written down as it left: a page is compared with its own before it is used. */
  #know(digests: Buffer, mostBytes: number): number {
    const count = Math.min(digests.length / DIGEST_BYTES, Math.floor(mostBytes / PAGE));
    for (let page = 0; page < count; page += 1)
      if (!isOfZeroes(digests, page)) this.#add(digests, page, page);
    return mostBytes - count * PAGE;
  }

  async #read(handle: FileHandle, mostBytes: number, isOver: () => boolean): Promise<number> {
    const part = Buffer.alloc(PART_PAGES * PAGE);
    const digest = Buffer.alloc(DIGEST_BYTES);
    let at = 0;
    while (at + PAGE <= mostBytes && !isOver()) {
      const most = Math.min(part.length, mostBytes - at);
      const { bytesRead } = await handle.read(part, 0, most, at);
      const whole = Math.floor(bytesRead / PAGE);
      for (let index = 0; index < whole; index += 1)
        if (digestPage(part, index * PAGE, digest, 0)) this.#add(digest, 0, at / PAGE + index);
      if (whole === 0) break;
      at += whole * PAGE;
    }
    return mostBytes - at;
  }

  #add(digests: Buffer, index: number, page: number): void {
    const at = index * DIGEST_BYTES;
    if (this.#numbers.get(digests, at) !== undefined) return;
    const number = this.#numbers.add(digests, at);
    if (number === this.#places.length) {
      const larger = new Uint32Array(2 * number);
      larger.set(this.#places);
      this.#places = larger;
      this.#digests = Buffer.concat([this.#digests, Buffer.alloc(this.#digests.length)]);
    }
    this.#places[number] = page;
    digests.copy(this.#digests, number * DIGEST_BYTES, at, at + DIGEST_BYTES);
  }

  get size(): number {
    return this.#numbers.size;
  }

  /**
   * Reads the pages of these digests into their places in `into`; 1 for each that has that content now. Those beside one
   * another are read together.
   */
  async find(digests: Buffer, into: Buffer): Promise<Uint8Array> {
    const count = digests.length / DIGEST_BYTES;
    const found = new Uint8Array(count);
    const numbers = new Float64Array(count);
    for (let index = 0; index < count; index += 1)
      numbers[index] = this.#numbers.get(digests, index * DIGEST_BYTES) ?? -1;
    for (let first = 0; first < count;) {
      const number = numbers[first] ?? -1;
      let end = first + 1;
      if (number !== -1) {
        const file = this.#fileOf(number);
        const at = this.#places[number] ?? 0;
        const follows = (next: number): boolean =>
          this.#fileOf(next) === file && this.#places[next] === at + end - first;
        while (end < count && follows(numbers[end] ?? -1)) end += 1;
        const bytes = (end - first) * PAGE;
        await this.#files[file]?.read(into, first * PAGE, bytes, at * PAGE);
        for (let index = first; index < end; index += 1)
          if (isPageOf(into, index * PAGE, digests, index)) found[index] = 1;
      }
      first = end;
    }
    return found;
  }

  /** The digests of a group's pages, where they are one after the other here; undefined where they are not. */
  group({ key, pages, digest }: AskedGroup): Buffer | undefined {
    const first = this.#numbers.get(key);
    if (first === undefined || first + pages > this.size) return undefined;
    const own = this.#digests.subarray(first * DIGEST_BYTES, (first + pages) * DIGEST_BYTES);
    return digest.equals(hash('sha256', own, 'buffer')) ? own : undefined;
  }

  #fileOf(number: number): number {
    if (number < 0) return -1;
    let file = this.#firsts.length - 1;
    while ((this.#firsts[file] ?? 0) > number) file -= 1;
    return file;
  }

  async close(): Promise<void> {
    await Promise.all(this.#files.map((each) => each.close().catch(() => undefined)));
    this.#files.length = 0;
  }
}
