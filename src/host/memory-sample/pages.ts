import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { constants, zstdCompressSync } from 'node:zlib';
import { MOVER_PAGES } from '../../migration/prediction/parameters.ts';
import type { CurvePoint, PageMix } from '../../protocol/public/prediction.ts';

/** Samples a guest's pages repeatedly. Independent of the hypervisor: pages have only numbers. */

export const PAGE_BYTES = 4096;
/** Pages of a sample: 16 MiB are held; each stands for 1 MiB of a 4 GiB guest. */
const MAX_PAGES = 4096;
const MAX_PACKED = 512;
/** Pages compressed together, as in a hypervisor's stream. */
const PACK_PAGES = 32;
/** Times of the further looks, ms from the first one. */
export const WINDOWS_MS = [100, 300, 1000, 3000] as const;
/**
 * One more look if the last one still found new pages; otherwise a guest that cycles through its working set in a few
 * seconds would seem to write all of its memory.
 */
const FURTHER_MS = 6000;
/** Required share of new pages among all written ones, and among the sample. */
const NEW_SHARE = 0.2;
const MIN_NEW = 16;
/** Minimum of pages with an answer from the other host for a share. */
const MIN_TOLD = 64;
/** Time for looking up further pages in the other host's summary, ms; the path's choice waits for it. */
const MORE_MS = 100;
/** A prime: its multiples visit every page once, for any number of pages. */
const STRIDE = 2_654_435_761;
const AT_ONCE = 256;

export interface Pages {
  readonly count: number;
  /** `absent`: never written, so zeros; `away`: reading would bring it back from swap. */
  state(page: number): 'here' | 'absent' | 'away';
  read(page: number, into: Buffer): boolean;
}

export interface PageStatistics {
  readonly pages: number;
  readonly curve: readonly CurvePoint[];
  readonly mix: PageMix;
}

export interface Time {
  monotonicMs(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface Brief {
  /** Once aborted, one more look completes the sample. */
  readonly enough: AbortSignal;
  /** One more window if it is longer than the others, ms. */
  readonly longestMs?: number | undefined;
}

/** Tells whether the other host already has a page; undefined for pages outside of its summary. */
export type Knows = Promise<((page: Uint8Array) => boolean | undefined) | undefined>;

export interface Until {
  readonly signal: AbortSignal;
  readonly brief?: Brief | undefined;
  readonly knows?: Knows | undefined;
}

/** One page from each of equal parts of memory. `random`: 0 to 1. */
export function choose(count: number, most: number, random: () => number): number[] {
  const chosen = Math.min(most, count);
  return Array.from({ length: chosen }, (_, index) =>
    Math.min(count - 1, Math.floor(((index + random()) * count) / chosen)),
  );
}

/**
 * Reads a sample now and after each window. A page that has changed once counts as written from then on; writes of
 * equal content are neither seen nor relevant. Undefined if no page can be read.
 */
export async function samplePages(
  pages: Pages,
  time: Time,
  { signal, brief, knows }: Until,
  random: () => number = Math.random,
): Promise<PageStatistics | undefined> {
  const most = brief === undefined ? MAX_PAGES : MOVER_PAGES;
  const first = new Map<number, Buffer>();
  const firstMs = time.monotonicMs();
  await eachOf(choose(pages.count, most, random), signal, (page) => {
    const content = contentOf(pages, page);
    if (content !== undefined) first.set(page, content);
  });
  if (first.size === 0) return undefined;
  // A look takes time, so it counts at its middle.
  const beganMs = (firstMs + time.monotonicMs()) / 2;
  const written = new Set<number>();
  const curve: CurvePoint[] = [];
  const now = Buffer.alloc(PAGE_BYTES);
  const sample = { sampled: first.size, count: pages.count };
  for (
    let windowMs = nextWindow(curve, sample, brief);
    windowMs !== undefined;
    windowMs = nextWindow(curve, sample, brief)
  ) {
    const isEnough = await rest(time, beganMs + windowMs, { signal, brief });
    const lookMs = time.monotonicMs();
    await eachOf([...first.keys()], signal, (page) => {
      if (!written.has(page) && hasChanged(pages, page, first.get(page) ?? ZEROS, now))
        written.add(page);
    });
    const share = written.size / first.size;
    const dirtyBytes = Math.round(share * pages.count * PAGE_BYTES);
    const middleMs = (lookMs + time.monotonicMs()) / 2;
    const leastMs = isEnough ? 1 : windowMs;
    curve.push({ windowMs: Math.max(leastMs, Math.round(middleMs - beganMs)), dirtyBytes });
    if (isEnough) break;
  }
  const rewritten = [...written].flatMap((page) => reportedOf(first.get(page)));
  const again =
    rewritten.length === 0 ? {} : { packedAgain: await packedShare(partsOf(rewritten), signal) };
  const more = function* (): Generator<Buffer> {
    const untilMs = time.monotonicMs() + MORE_MS;
    for (const page of inNoOrder(choose(pages.count, MAX_PAGES, random))) {
      if (time.monotonicMs() > untilMs) return;
      yield contentOf(pages, page) ?? ZEROS;
    }
  };
  const mix = { ...(await mixOf([...first.values()], more(), { signal, knows })), ...again };
  return { pages: first.size, curve, mix };
}

function nextWindow(
  curve: readonly CurvePoint[],
  sample: Sample,
  brief: Brief | undefined,
): number | undefined {
  const next = WINDOWS_MS[curve.length];
  if (next !== undefined || curve.length > WINDOWS_MS.length) return next;
  if (brief === undefined) return isRising(curve, sample) ? FURTHER_MS : undefined;
  const { longestMs = 0 } = brief;
  return longestMs > Math.max(...WINDOWS_MS) ? longestMs : undefined;
}

interface Sample {
  readonly sampled: number;
  readonly count: number;
}

function isRising(curve: readonly CurvePoint[], { sampled, count }: Sample): boolean {
  const [before = 0, all = 0] = curve.slice(-2).map(({ dirtyBytes }) => dirtyBytes);
  const memory = count * PAGE_BYTES;
  const seen = ((all - before) / memory) * sampled;
  return all < memory && seen >= MIN_NEW && all - before >= all * NEW_SHARE;
}

async function rest(time: Time, untilMs: number, { signal, brief }: Until): Promise<boolean> {
  const ms = Math.max(0, untilMs - time.monotonicMs());
  if (brief === undefined) {
    await time.sleep(ms, signal);
    return false;
  }
  const { enough } = brief;
  await time.sleep(ms, AbortSignal.any([signal, enough])).catch(() => signal.throwIfAborted());
  return enough.aborted;
}

const ZEROS = Buffer.alloc(PAGE_BYTES);

/** The shared zero buffer for a zero page; undefined if it cannot be read. */
function contentOf(pages: Pages, page: number): Buffer | undefined {
  const state = pages.state(page);
  if (state === 'away') return undefined;
  if (state === 'absent') return ZEROS;
  const content = Buffer.alloc(PAGE_BYTES);
  if (!pages.read(page, content)) return undefined;
  return content.equals(ZEROS) ? ZEROS : content;
}

function hasChanged(pages: Pages, page: number, before: Buffer, into: Buffer): boolean {
  const state = pages.state(page);
  if (state === 'absent') return before !== ZEROS;
  return state === 'here' && pages.read(page, into) && !into.equals(before);
}

export async function eachOf<T>(
  all: Iterable<T>,
  signal: AbortSignal,
  look: (each: T) => void,
): Promise<void> {
  let since = 0;
  for (const each of all) {
    if (since === 0) signal.throwIfAborted();
    look(each);
    since = (since + 1) % AT_ONCE;
    if (since === 0) await setImmediate();
  }
}

/** Spread over memory, even if few are taken: low addresses have the kernel. */
function* inNoOrder(pages: readonly number[]): Generator<number> {
  for (let at = 0; at < pages.length; at += 1) yield pages[(at * STRIDE) % pages.length] ?? 0;
}

function* whileSo<T>(all: Iterable<T>, isSo: () => boolean): Generator<T> {
  if (!isSo()) return;
  for (const each of all) {
    yield each;
    if (!isSo()) return;
  }
}

const reportedOf = (content: Buffer | undefined): Buffer[] =>
  content === undefined || content === ZEROS ? [] : [content];

/** `more`: further pages, only for the other host's share. */
async function mixOf(
  contents: readonly Buffer[],
  more: Iterable<Buffer>,
  { signal, knows }: Pick<Until, 'signal' | 'knows'>,
): Promise<PageMix> {
  const reported = contents.flatMap(reportedOf);
  const names = new Set<string>();
  const isKnown = await knows;
  let [told, known] = [0, 0];
  const look = (content: Buffer): void => {
    const before = names.size;
    const { size } = names.add(createHash('sha1').update(content).digest('latin1'));
    const there = size > before ? isKnown?.(content) : undefined;
    if (there !== undefined) told += 1;
    if (there === true) known += 1;
  };
  await eachOf(reported, signal, look);
  const held = reported.length / contents.length;
  const duplicate = (reported.length - names.size) / contents.length;
  // A host with a large cache reports only part of its pages.
  const lacks = (): boolean => told < MIN_TOLD;
  const may = told * (1 + MAX_PAGES / contents.length) >= MIN_TOLD;
  await eachOf(may ? whileSo(more, lacks) : [], signal, (content) => {
    if (content !== ZEROS) look(content);
  });
  return {
    zero: 1 - held,
    duplicate,
    packed: await packedShare(partsOf(reported), signal),
    ...(told < MIN_TOLD ? {} : { known: { share: (held * known) / told, pages: told } }),
  };
}

/** Groups pages from all over memory, because low addresses have the kernel, which compresses differently. */
function partsOf(contents: readonly Buffer[]): Buffer[][] {
  const parts = Math.ceil(contents.length / PACK_PAGES);
  const most = Math.min(parts, MAX_PACKED / PACK_PAGES);
  return Array.from({ length: most }, (_, index) => {
    const from = Math.floor((index * parts) / most) * PACK_PAGES;
    return contents.slice(from, from + PACK_PAGES);
  });
}

/** Ratio with zstd's fastest level; 1 without pages. */
async function packedShare(
  parts: readonly (readonly Buffer[])[],
  signal: AbortSignal,
): Promise<number> {
  const params = { [constants.ZSTD_c_compressionLevel]: 1 };
  let [packed, whole] = [0, 0];
  for (const part of parts) {
    signal.throwIfAborted();
    await setImmediate();
    const together = Buffer.concat(part);
    packed += Math.min(together.length, zstdCompressSync(together, { params }).length);
    whole += together.length;
  }
  return whole === 0 ? 1 : packed / whole;
}
