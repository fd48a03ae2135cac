import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { z } from 'zod';
import { PAGE_BYTES } from '../codec/item.ts';
import { ID_BYTES } from '../codec/settings.ts';
import type { Scope } from './scope.ts';

/** Index of a file in place: NAME.seed contains the file's identity and the name of each page. */
export const seedHeader = z.strictObject({
  file: z.string().min(1).max(4096),
  bytes: z.int().nonnegative(),
  mtimeMs: z.number(),
  inode: z.number(),
});
export type SeedHeader = z.infer<typeof seedHeader>;

const MAX_HEADER_BYTES = 8192;
const READ_PAGES = 256;
const ZERO = Buffer.alloc(PAGE_BYTES);
/** Marks a page that is not indexed: zero pages have a separate encoding. */
const NO_NAME = Buffer.alloc(ID_BYTES);

/**
 * Indexes a file by reading all of it, without copies. Yields between pieces; `signal` aborts. Returns the
 * number of indexed pages. The index takes 16 bytes per 4096 of the file.
 */
export async function indexFile(
  file: string,
  index: string,
  scope: Scope,
  signal: AbortSignal,
): Promise<number> {
  const descriptor = openSync(file, 'r');
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw new TypeError(`${file} is no regular file`);
    const pages = Math.floor(stat.size / PAGE_BYTES);
    const names = Buffer.alloc(pages * ID_BYTES);
    const piece = Buffer.alloc(READ_PAGES * PAGE_BYTES);
    let indexed = 0;
    for (let first = 0; first < pages; first += READ_PAGES) {
      signal.throwIfAborted();
      const length = readSync(descriptor, piece, 0, piece.length, first * PAGE_BYTES);
      for (let at = 0; at + PAGE_BYTES <= length; at += PAGE_BYTES) {
        const page = piece.subarray(at, at + PAGE_BYTES);
        if (page.equals(ZERO)) continue;
        names.set(scope.nameOf(page), (first + at / PAGE_BYTES) * ID_BYTES);
        indexed += 1;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { size: bytes, mtimeMs, ino: inode } = stat;
    const head = `${JSON.stringify({ file, bytes, mtimeMs, inode } satisfies SeedHeader)}\n`;
    // Renamed when complete, so that a partial index is never used.
    writeFileSync(`${index}.new`, Buffer.concat([Buffer.from(head), names]), { mode: 0o600 });
    renameSync(`${index}.new`, index);
    return indexed;
  } finally {
    closeSync(descriptor);
  }
}

export class Seed {
  readonly header: SeedHeader;
  readonly #names: Buffer;
  readonly #scope: Scope;
  readonly #descriptor: number;

  private constructor(of: SeedHeader, names: Buffer, scope: Scope, descriptor: number) {
    this.header = of;
    this.#names = names;
    this.#scope = scope;
    this.#descriptor = descriptor;
  }

  /** Undefined if the index is invalid, or the file is missing or has changed. */
  static open(index: string, scope: Scope): Seed | undefined {
    try {
      const bytes = readFileSync(index);
      const end = bytes.subarray(0, MAX_HEADER_BYTES).indexOf(0x0a);
      const header = seedHeader.parse(JSON.parse(bytes.toString('utf8', 0, Math.max(0, end))));
      const descriptor = openSync(header.file, 'r');
      const stat = fstatSync(descriptor);
      const same =
        stat.isFile() &&
        stat.size === header.bytes &&
        stat.mtimeMs === header.mtimeMs &&
        stat.ino === header.inode;
      if (same) return new Seed(header, bytes.subarray(end + 1), scope, descriptor);
      closeSync(descriptor);
    } catch {
      // An unusable index is ignored; `status` does not count it.
    }
    return undefined;
  }

  get count(): number {
    return Math.min(
      Math.floor(this.#names.length / ID_BYTES),
      Math.floor(this.header.bytes / PAGE_BYTES),
    );
  }

  nameAt(page: number): Buffer | undefined {
    const name = this.#names.subarray(page * ID_BYTES, (page + 1) * ID_BYTES);
    return name.equals(NO_NAME) ? undefined : name;
  }

  /** Page, or undefined if the file has changed there: each read is hashed again. */
  read(page: number, bytes: Buffer = Buffer.allocUnsafe(PAGE_BYTES)): Buffer | undefined {
    const length = readSync(this.#descriptor, bytes, 0, PAGE_BYTES, page * PAGE_BYTES);
    const name = this.nameAt(page);
    if (length !== PAGE_BYTES || name === undefined) return undefined;
    return this.#scope.nameOf(bytes).equals(name) ? bytes : undefined;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** Sort order of a summary: seeds first, since they take no extra space, then the newest. */
export function seedsFirst(left: unknown, right: unknown): number {
  return Number(right instanceof Seed) - Number(left instanceof Seed);
}
