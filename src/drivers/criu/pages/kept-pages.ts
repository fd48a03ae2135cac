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
 * Memory images of containers that have left. If one returns, unchanged pages are found here by content, and
 * only for a container of the same name.
 */

const KEPT_MS = 24 * 3_600_000;
const PART_PAGES = 256;
/** The source waits for this read; unread pages are sent again. */
const READ_MS = 20_000;
/** Free space required, as a multiple: kept memory must not block a migration. */
const ROOM_TIMES = 4;
const PAGES = /^pages-\d{1,9}\.img$/;

/** File with the digests of a page file, so that a returning container need not wait for hashing. */
export function digestsFile(pages: string): string {
  return pages.replace(/\.img$/, '.digests');
}

/** Writes digests as they arrive. Nothing waits for it or fails with it; an incomplete file is not used. */
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

/** Below the record directory; the leading dot differs from every container name. */
export function keptDirectory(records: string): string {
  return path.join(records, '.kept');
}

/** Keeps a dump's pages instead of the container's earlier ones, up to `mostBytes` in total. */
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

export async function dropKept(top: string, mostBytes: number): Promise<void> {
  const found = await allKept(top);
  let left = 0;
  for (const { place, bytes, atMs } of found.toSorted((one, other) => other.atMs - one.atMs)) {
    const isOld = systemClock.wallMs() - atMs > KEPT_MS;
    if (!isOld && left + bytes <= mostBytes) left += bytes;
    else await removeTree(place);
  }
}

/** Total size, bytes, which can be freed at any time. */
export async function keptSize(records: string): Promise<number> {
  const found = await allKept(keptDirectory(records));
  return found.reduce((sum, { bytes }) => sum + bytes, 0);
}

export class KeptPages {
  readonly #files: FileHandle[] = [];
  readonly #numbers = new PageNumbers();
  #places = new Uint32Array(1024);
  #digests = Buffer.alloc(1024 * DIGEST_BYTES);
  readonly #firsts: number[] = [];

  /** Reads at most `mostBytes` for up to `readMs`. Never rejects: unread pages are sent again. */
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
        // Only the part of this file that was read is used.
      }
    }
    return kept;
  }

  /** Uses the digests recorded at departure; each page is compared with its digest before use. */
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
   * Reads the pages of these digests into `into`; 1 for each page found with that content. Adjacent pages are
   * read together.
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

  /** Digests of a group's pages if they are consecutive here, otherwise undefined. */
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
