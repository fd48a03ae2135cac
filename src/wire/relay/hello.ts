import { accessSync, constants, mkdirSync } from 'node:fs';
import { z } from 'zod';
import { agreedCircle, circleBy, circlesOf, type WireCache } from '../cache/circles.ts';
import { placesDigest } from '../cache/places.ts';
import { MAX_SETTINGS, type CodecSettings } from '../codec/settings.ts';
import type { ThreadCache } from '../codec/thread-messages.ts';
import { godwitError } from '../../errors.ts';

/** Messages of both relays on the control channel, and their agreement in the first one. */

/** Version of the relay's messages and tokens. The codec's frames have a separate version. */
export const RELAY_VERSION = 1;

const MAX_EARLIER = 2;
const MIN_CELLS = 1024;
const MAX_CELLS = 2 ** 22;
/** Twice the size of a summary with the most names. */
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
  /** Seed of the running hash, hexadecimal. */
  seed: z.string().regex(/^[0-9a-f]{16}$/),
  /** Cache's circle, if there is a cache. */
  tag,
  /** Circles of recently replaced secrets; a target of an earlier build reads only `tag`. */
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
  /** The far hypervisor has taken this many bytes of the main connection since its start. */
  z.object({ type: z.literal('taken'), bytes: z.number().int().nonnegative() }),
  broken,
]);
export type ToSource = z.infer<typeof toSource>;

/** Parses a message; throws GODWIT_PROTOCOL_INVALID. */
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

/** One cell per guest page, as a power of two. */
export function cellsFor(memoryBytes: number): number {
  const cells = 2 ** Math.ceil(Math.log2(Math.max(1, memoryBytes / 4096)));
  return Math.min(MAX_CELLS, Math.max(MIN_CELLS, cells));
}

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
 * Target's report of the common circle: by a secret under which it has contents of that source, including
 * recently replaced ones, otherwise by the newest. No cache for a source with more cells than the guest has
 * pages, because their memory was not admitted.
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

/** An unusable cache costs compression, never a migration. */
function isUsable(directory: string): boolean {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Cache for the codec's thread; undefined unless both sides have the circle `agreed` with the same secret. */
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
 * Contents outside the window are found through the cache, so the window, whose pages are resident at both ends,
 * can be small. Small batches mean frequent acknowledgements and early comparison; nothing of a batch is
 * released before all of it is decoded.
 */
export const RELAY_SETTINGS: CodecSettings = {
  windowPages: 8192,
  batchBytes: 384 * 1024,
  batchItems: 256,
};

/** Places of guests above 8 GiB may take 96 MiB; a window of half the size saves 16 of them. */
const LARGE_CELLS = 2 ** 21;

/** Settings by the source's report of its cache, which finds contents outside the window. */
export function settingsFor(
  { tag: circle }: Pick<SourceHello, 'tag'>,
  cells: number,
): CodecSettings {
  if (circle === null || cells <= LARGE_CELLS) return RELAY_SETTINGS;
  return { ...RELAY_SETTINGS, windowPages: RELAY_SETTINGS.windowPages / 2 };
}

/** Settings of the urgent connection, for single awaited pages. */
export const URGENT_SETTINGS: CodecSettings = {
  windowPages: 256,
  batchBytes: 64 * 1024,
  batchItems: 64,
};
