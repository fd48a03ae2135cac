import type { Duplex } from 'node:stream';
import { z } from 'zod';

/**
 * Messages between both ends of a container's migration. A frame is its kind (one byte), its length (four bytes,
 * little-endian) and its body.
 */

export const KINDS = {
  /** Source: its identity (JSON). */
  hello: 1,
  /** Pages that the destination lacks; it numbers them in the order of arrival. */
  pages: 2,
  packed: 3,
  /** A file follows: its name and length (JSON), then its page numbers. */
  file: 4,
  /** Page numbers of the file, four bytes each; ZERO is a page of zeroes. */
  refs: 5,
  /** Everything was sent: restore it, or prepare its start. */
  done: 6,
  /** Digests of pages, 32 bytes each: asks which pages the destination has kept. */
  ask: 7,
  /** Post-copy: remaining pages. File number, number of the first page, pages. */
  late: 8,
  /** Remaining pages, compressed with zstd. */
  latePacked: 9,
  /**
   * Number of pages (four bytes), then for each group the first half of its first page's digest and the SHA-256
   * of all its pages' digests: asks which groups the destination has kept.
   */
  askGroups: 10,
  /** Like `refs`, but pairs of a number and a count of consecutive numbers, four bytes each. */
  runs: 11,
  ready: 16,
  taken: 17,
  /** The container is restored and paused, or everything for its start is here. */
  restored: 18,
  failed: 19,
  /**
   * One bit per digest, lowest first: set if the destination has that page. All are numbered in that order;
   * missing pages follow.
   */
  have: 20,
  /** Post-copy: a process waits for this page. File number, page number. */
  want: 21,
  /** After a reconnect: file number, number of a first page, and one bit per missing page from there on. */
  missing: 22,
  /** All pages have arrived and are in place. */
  whole: 23,
  /** One bit per group. All pages are numbered in that order; pages of missing groups are asked for next. */
  haveGroups: 24,
} as const;
export type Kind = (typeof KINDS)[keyof typeof KINDS];

export const ZERO = 0xffff_ffff;
/** Number of a page that follows later. */
export const LATE = 0xffff_fffe;
export const MAX_FRAME = 4 * 1024 * 1024;
const HEAD = 5;

/**
 * CRIU's image; root file system above the layers; volume; and for one of these: its first archive, its changes,
 * and its removed files.
 */
const FILE_KINDS = ['image', 'root', 'volume', 'base', 'changed', 'gone'] as const;
export type FileKind = (typeof FILE_KINDS)[number];

export const hello = z.strictObject({
  version: z.literal(1),
  guest: z.string().max(64),
  /** Only files are sent: the container starts again. */
  cold: z.literal(true).optional(),
  /** The container is already there, and the rest of its memory follows. */
  rest: z.literal(true).optional(),
});
/** In `done`: pages remain for later. */
export const doneBody = z.strictObject({ late: z.literal(true) });
const TREE = /^(root|volume-\d{1,2})$/;
/** Names of CRIU's and runc's files. They cannot collide with Godwit's files in the same directory. */
const IMAGE = /^([a-z][A-Za-z0-9._-]*\.img|descriptors\.json)$/;
export const fileHead = z
  .strictObject({
    name: z.string().max(128),
    bytes: z
      .number()
      .int()
      .nonnegative()
      .max(2 ** 42),
    what: z.enum(FILE_KINDS),
    /** SHA-256 of the complete tree after its changes. */
    digest: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional(),
  })
  .refine(({ name, what }) => (what === 'image' ? IMAGE : TREE).test(name), 'a file by its name')
  .refine(({ what, digest }) => (what === 'gone') === (digest !== undefined), 'a digest');
export type FileHead = z.infer<typeof fileHead>;
/** Optional abilities of a destination; absent in earlier builds. */
export const ready = z.object({
  changes: z.boolean().optional(),
  /** It has kept pages and can be asked for them. */
  kept: z.boolean().optional(),
  /** It can be asked for groups, and accepts runs of numbers. */
  groups: z.boolean().optional(),
});
export const MAX_ASKED = 1024;
export const DIGEST_BYTES = 32;
/** Pages per group; the last group of a question may have fewer. */
export const GROUP = 32;
export const KEY_BYTES = 16;
export const failure = z.strictObject({ reason: z.string().max(4096) });

export interface Frame {
  readonly kind: number;
  readonly body: Buffer;
}

export function encodeFrame(kind: Kind, body: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeUInt8(kind, 0);
  head.writeUInt32LE(body.length, 1);
  return body.length === 0 ? head : Buffer.concat([head, body]);
}

/** Splits received bytes into frames. Throws for a frame above the limit. */
export class FrameReader {
  #parts: Buffer[] = [];
  #length = 0;

  push(bytes: Buffer): Frame[] {
    this.#parts.push(bytes);
    this.#length += bytes.length;
    const frames: Frame[] = [];
    for (;;) {
      const wanted = this.#wanted();
      if (wanted === undefined || this.#length < wanted) return frames;
      const whole = this.#take(wanted);
      frames.push({ kind: whole.readUInt8(0), body: whole.subarray(HEAD) });
    }
  }

  #wanted(): number | undefined {
    if (this.#length < HEAD) return undefined;
    if ((this.#parts[0]?.length ?? 0) < HEAD) this.#parts = [Buffer.concat(this.#parts)];
    const length = this.#parts[0]?.readUInt32LE(1) ?? 0;
    if (length > MAX_FRAME) throw new Error(`a frame of ${length} bytes`);
    return HEAD + length;
  }

  #take(bytes: number): Buffer {
    const all =
      this.#parts.length === 1 ? (this.#parts[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#parts);
    this.#length -= bytes;
    this.#parts = this.#length === 0 ? [] : [all.subarray(bytes)];
    return all.subarray(0, bytes);
  }
}

export async function write(stream: Duplex, bytes: Buffer): Promise<void> {
  if (stream.destroyed) throw new Error('the connection is closed');
  if (stream.write(bytes)) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onClose = (): void => reject(new Error('the connection broke'));
  stream.once('drain', resolve).once('close', onClose);
  try {
    await promise;
  } finally {
    stream.off('drain', resolve).off('close', onClose);
  }
}
