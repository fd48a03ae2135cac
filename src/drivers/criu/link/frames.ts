import type { Duplex } from 'node:stream';
import { z } from 'zod';

/**
 * What passes between the two ends of a container's migration: frames of a kind (one byte), a length (four, little-endian)
 * and that many bytes.
 */

export const KINDS = {
  /** Source: who sends (JSON). */
  hello: 1,
  /** Pages that the destination lacks: it numbers them in the order in which they come. */
  pages: 2,
  /** The same, compressed with zstd. */
  packed: 3,
  /** A file follows (JSON): its name and length; then its pages. */
  file: 4,
  /** Numbers of pages, four bytes each, that make up the file; ZERO for one of zeroes. */
  refs: 5,
  /** All is there: restore it, or make ready to start it. */
  done: 6,
  /** Digests of pages, 32 bytes each: which has the destination kept from before? */
  ask: 7,
  /** Post-copy: pages that were left for later. The number of their file, that of the first one in it, then the pages. */
  late: 8,
  /** The same, the pages compressed with zstd. */
  latePacked: 9,
  /**
   * How many pages (four bytes); then of each group of them the first half of its first page's digest, and the SHA-256 of the
   * digests of all of its pages: which groups has the destination kept?
   */
  askGroups: 10,
  /** As `refs`, but a number and how many follow one another from it on, four bytes each. */
  runs: 11,
  /** Destination: it waits for pages. */
  ready: 16,
  /** It has taken in that many frames. */
  taken: 17,
  /** The container is made, and is paused; or all that it is started from is here. */
  restored: 18,
  /** Why not (JSON). */
  failed: 19,
  /** A bit for each digest, the lowest first: it has that page. All are numbered in that order; those that it lacks come next. */
  have: 20,
  /** Post-copy: somebody waits for this page. Its file, its number in it. */
  want: 21,
  /** Over a new connection: a file, the number of a first page, and a bit for each from that on which has not come. */
  missing: 22,
  /** Each page has come, and is where it belongs. */
  whole: 23,
  /** A bit for each group. All pages are numbered in their order; those of the other groups are asked for next. */
  haveGroups: 24,
} as const;
export type Kind = (typeof KINDS)[keyof typeof KINDS];

export const ZERO = 0xffff_ffff;
/** Of a page that comes later. */
export const LATE = 0xffff_fffe;
export const MAX_FRAME = 4 * 1024 * 1024;
const HEAD = 5;

/** Of CRIU; what was written above the layers; what a volume holds; of one of these what it was first, and what changed since. */
const FILE_KINDS = ['image', 'root', 'volume', 'base', 'changed', 'gone'] as const;
export type FileKind = (typeof FILE_KINDS)[number];

export const hello = z.strictObject({
  version: z.literal(1),
  guest: z.string().max(64),
  /** No memory comes, only files: the container is started anew. */
  cold: z.literal(true).optional(),
  /** The container is there, and the rest of its memory comes. */
  rest: z.literal(true).optional(),
});
/** With `done`: pages were left for later. */
export const doneBody = z.strictObject({ late: z.literal(true) });
const TREE = /^(root|volume-\d{1,2})$/;
/** Of CRIU and runc: no file that Godwit itself makes beside them has such a name, and none has another. */
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
    /** SHA-256 of what the tree is to be once what is gone is removed. */
    digest: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional(),
  })
  .refine(({ name, what }) => (what === 'image' ? IMAGE : TREE).test(name), 'a file by its name')
  .refine(({ what, digest }) => (what === 'gone') === (digest !== undefined), 'a digest');
export type FileHead = z.infer<typeof fileHead>;
/** What a destination can do that not every build can; one of before says nothing. */
export const ready = z.object({
  changes: z.boolean().optional(),
  /** It has kept pages, and may be asked for them. */
  kept: z.boolean().optional(),
  /** It may be asked for groups of them, and takes runs of numbers. */
  groups: z.boolean().optional(),
});
/** Pages that are asked for at once. */
export const MAX_ASKED = 1024;
export const DIGEST_BYTES = 32;
/** Pages of a group, of which the last one of a question may have fewer. */
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

/** Takes bytes as they come; gives whole frames. Throws for one that is longer than any may be. */
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

/** Writes, and waits until there is room for more. */
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
