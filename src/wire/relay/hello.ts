import { accessSync, constants, mkdirSync } from 'node:fs';
import { z } from 'zod';
import { agreedCircle, circleBy, circlesOf, type WireCache } from '../cache/circles.ts';
import { placesDigest } from '../cache/places.ts';
import { MAX_SETTINGS, type CodecSettings } from '../codec/settings.ts';
import type { ThreadCache } from '../codec/thread-messages.ts';
import { godwitError } from '../../errors.ts';

/** What the two relays report to each other on the control channel, and what they agree on with the first of it. */

/** Of the relay's messages and tokens. The frames of the codec have a version of their own. */
export const RELAY_VERSION = 1;

/** Of the site's secrets, besides the one that counts. */
const MAX_EARLIER = 2;
const MIN_CELLS = 1024;
const MAX_CELLS = 2 ** 22;
/** A summary of as many names as there may be is half of it. */
const MAX_SUMMARY_BYTES = 9 * 1024 * 1024;

const setting = (most: number) => z.number().int().min(1).max(most);
const tag = z.string().max(64).nullable();
const digest = z.string().max(128);
const connection = z.number().int().min(0).max(1);

export const sourceHello = z.object({
  type: z.literal('hello'),
  version: z.literal(RELAY_VERSION),
  settings: z.object({
    windowPages: setting(MAX_SETTINGS.windowPages),
    batchBytes: setting(MAX_SETTINGS.batchBytes).min(16_384),
    batchItems: setting(MAX_SETTINGS.batchItems),
  }),
  /** Of the running hash, hexadecimal. */
  seed: z.string().regex(/^[0-9a-f]{16}$/),
  /** The cache's circle, where there is a cache. */
  tag,
  /** The same by secrets of the site that were replaced of late; a target of an earlier build looks at `tag` alone. */
  earlier: z.array(z.string().max(64)).max(MAX_EARLIER).optional(),
  cells: z.number().int().min(MIN_CELLS).max(MAX_CELLS),
  digest,
});
export type SourceHello = z.infer<typeof sourceHello>;

const targetHello = z.object({
  type: z.literal('hello'),
  version: z.literal(RELAY_VERSION),
  tag,
  digest,
  summaryBytes: z.number().int().min(4).max(MAX_SUMMARY_BYTES),
});
export type TargetHello = z.infer<typeof targetHello>;

const broken = z.object({ type: z.literal('broken'), connection });

export const toTarget = z.discriminatedUnion('type', [
  sourceHello,
  z.object({ type: z.literal('open'), connection }),
  broken,
]);
export type ToTarget = z.infer<typeof toTarget>;

export const toSource = z.discriminatedUnion('type', [
  targetHello,
  /** The far hypervisor has taken so many bytes of the main connection, since its start. */
  z.object({ type: z.literal('taken'), bytes: z.number().int().nonnegative() }),
  broken,
]);
export type ToSource = z.infer<typeof toSource>;

/** Reads a message; throws GODWIT_PROTOCOL_INVALID. */
export function readMessage<T>(schema: z.ZodType<T>, bytes: Uint8Array, peer: string): T {
  try {
    return schema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (error) {
    const what = error instanceof Error ? error.message.slice(0, 200) : String(error);
    const expected = 'a message of the wire';
    throw godwitError('GODWIT_PROTOCOL_INVALID', { peer, expected, what });
  }
}

export function writeMessage(message: ToTarget | ToSource): Buffer {
  return Buffer.from(JSON.stringify(message));
}

/** A cell for each page of the guest, as a power of two. */
export function cellsFor(memoryBytes: number): number {
  const cells = 2 ** Math.ceil(Math.log2(Math.max(1, memoryBytes / 4096)));
  return Math.min(MAX_CELLS, Math.max(MIN_CELLS, cells));
}

/** What the source reports of its cache. */
export function reportCache(
  cache: WireCache | undefined,
  cells: number,
): Pick<SourceHello, 'tag' | 'earlier' | 'digest'> {
  if (cache === undefined || !isUsable(cache.directory)) return { tag: null, digest: '' };
  const [circle = null, ...earlier] = circlesOf(cache).map(({ scope }) => scope.tag);
  const more = earlier.length === 0 ? {} : { earlier: earlier.slice(0, MAX_EARLIER) };
  return { tag: circle, ...more, digest: placesDigest(cache.placesFile, cells) };
}

/**
 * What the target reports of the circle that both sides know: by the secret under which it has something of that source,
 * also where that was replaced of late, else by the newest. No cache for a source whose cells are more than the guest has
 * pages: they cost memory that was not admitted.
 */
export function answerCache(
  cache: WireCache | undefined,
  { tag: newest, earlier = [], cells }: SourceHello,
  memoryBytes: number,
): Pick<TargetHello, 'tag' | 'digest'> {
  if (cells > cellsFor(memoryBytes)) return { tag: null, digest: '' };
  const own = reportCache(cache, cells);
  if (cache === undefined || own.tag === null) return own;
  const tags = [newest ?? [], earlier].flat();
  return { tag: agreedCircle(cache, tags)?.scope.tag ?? own.tag, digest: own.digest };
}

/** A cache that cannot be had costs compression, never a migration. */
function isUsable(directory: string): boolean {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The cache as the codec's thread opens it: none unless both sides are of the circle `agreed`, by one secret. */
export function agreedCache(
  cache: WireCache | undefined,
  agreed: string | null,
  farDigest: string,
  cells: number,
): ThreadCache | undefined {
  if (cache === undefined || agreed === null) return undefined;
  const found = circleBy(cache, agreed);
  if (found === undefined) return undefined;
  const { placesFile, earlier: _earlier, ...kept } = cache;
  return { ...kept, secret: found.secret, places: { file: placesFile, cells, farDigest } };
}

/**
 * What left the window is found through the cache, so it need not be large: each page of it is resident at both ends.
 * Batches are small, so that acknowledgements come often and what is decoded is soon compared: nothing of a batch is
 * released before all of it is decoded, and pages that are encoded by a name or not at all would else go by megabytes.
 */
export const RELAY_SETTINGS: CodecSettings = {
  windowPages: 8192,
  batchBytes: 384 * 1024,
  batchItems: 256,
};

/** Places of guests above 8 GiB may take 96 MiB, and a window half as long makes up for 16 of them. */
const LARGE_CELLS = 2 ** 21;

/** By what the source reports of its cache, which finds what left the window. */
export function settingsFor(
  { tag: circle }: Pick<SourceHello, 'tag'>,
  cells: number,
): CodecSettings {
  if (circle === null || cells <= LARGE_CELLS) return RELAY_SETTINGS;
  return { ...RELAY_SETTINGS, windowPages: RELAY_SETTINGS.windowPages / 2 };
}

/** Of the urgent connection: single pages, each for somebody who waits. */
export const URGENT_SETTINGS: CodecSettings = {
  windowPages: 256,
  batchBytes: 64 * 1024,
  batchItems: 64,
};
