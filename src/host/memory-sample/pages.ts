import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { constants, zstdCompressSync } from 'node:zlib';
import { MOVER_PAGES } from '../../migration/prediction/parameters.ts';
import type { CurvePoint, PageMix } from '../../protocol/public/prediction.ts';

/** A sample of a guest's pages, looked at several times. It knows no hypervisor: only pages with numbers. */

export const PAGE_BYTES = 4096;
/** Pages of a sample: 16 MiB are held, and one of them stands for 1 MiB of a guest of 4 GiB. */
const MAX_PAGES = 4096;
/** Of those, how many are compressed. */
const MAX_PACKED = 512;
/** Pages that are compressed together, as a hypervisor's stream has them. */
const PACK_PAGES = 32;
/** After these the sample is looked at again, ms from the first look. */
export const WINDOWS_MS = [100, 300, 1000, 3000] as const;
/**
 * And once more where the last of them still saw new pages: a guest that takes a few seconds to go once through what it writes
 * would be taken for one that writes all of its memory.
 */
const FURTHER_MS = 6000;
/** New pages are this share of all that were seen written, and so many of the sample. */
const NEW_SHARE = 0.2;
const MIN_NEW = 16;
/** Of fewer pages that the other host has, or has not, no share is made. */
const MIN_TOLD = 64;
/** How long further pages are read and looked up in what the other host told, ms: the choice of the path waits for it. */
const MORE_MS = 100;
/** A prime: steps of it come to each of any number of pages once. */
const STRIDE = 2_654_435_761;
/** So many pages in a row, before others have their turn and the signal is looked at. */
const AT_ONCE = 256;

export interface Pages {
  readonly count: number;
  /** `absent`: nobody has written there, so that it is zeros; `away`: reading it would bring it back from somewhere. */
  state(page: number): 'here' | 'absent' | 'away';
  /** False where it cannot be read now. */
  read(page: number, into: Buffer): boolean;
}

export interface PageStatistics {
  /** Pages that could be looked at. */
  readonly pages: number;
  readonly curve: readonly CurvePoint[];
  readonly mix: PageMix;
}

export interface Time {
  monotonicMs(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** A look at fewer pages, from outside alone. */
export interface Brief {
  /** Once it is aborted, what has been seen is enough: one more look, and no more. */
  readonly enough: AbortSignal;
  /** One more window, where it is longer than the others, ms. */
  readonly longestMs?: number | undefined;
}

/** Whether the other host has such a page already, once that is known; undefined of a page of which it has not told. */
export type Knows = Promise<((page: Uint8Array) => boolean | undefined) | undefined>;

export interface Until {
  readonly signal: AbortSignal;
  readonly brief?: Brief | undefined;
  readonly knows?: Knows | undefined;
}

/** One page of each of as many equal parts of memory. `random`: 0 to 1. */
export function choose(count: number, most: number, random: () => number): number[] {
  const chosen = Math.min(most, count);
  return Array.from({ length: chosen }, (_, index) =>
    Math.min(count - 1, Math.floor(((index + random()) * count) / chosen)),
  );
}

/**
 * Looks at a sample now and after each window. A page that has changed once counts as written from then on: what is
 * written as it was is not seen, and need not be. Undefined where no page can be looked at.
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
  // To look takes its time, which is no window's: each look counts as if all of it were at its middle.
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

/** The window of the next look, ms; undefined where the looks so far are enough. */
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

/** Of so many pages, so many are looked at. */
interface Sample {
  readonly sampled: number;
  readonly count: number;
}

/** Whether the newest look saw many pages written that none had seen before. */
function isRising(curve: readonly CurvePoint[], { sampled, count }: Sample): boolean {
  const [before = 0, all = 0] = curve.slice(-2).map(({ dirtyBytes }) => dirtyBytes);
  const memory = count * PAGE_BYTES;
  const seen = ((all - before) / memory) * sampled;
  return all < memory && seen >= MIN_NEW && all - before >= all * NEW_SHARE;
}

/** Until the next look is due; true where it is to be the last one, at once. */
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

/** The very buffer of zeros for a page without any; undefined where it cannot be looked at. */
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

/** From all over memory, however few are taken: low in it lies the kernel. */
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

/** `more`: further pages, for what the other host has of them alone. */
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
  // A host with a large cache tells of few of its pages.
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

/** Pages that are compressed together, from all over memory: what lies low in it is the kernel, and packs as no other. */
function partsOf(contents: readonly Buffer[]): Buffer[][] {
  const parts = Math.ceil(contents.length / PACK_PAGES);
  const most = Math.min(parts, MAX_PACKED / PACK_PAGES);
  return Array.from({ length: most }, (_, index) => {
    const from = Math.floor((index * parts) / most) * PACK_PAGES;
    return contents.slice(from, from + PACK_PAGES);
  });
}

/** What zstd's quickest level makes of them; 1 of none. */
async function packedShare(
  parts: readonly (readonly Buffer[])[],
  signal: AbortSignal,
): Promise<number> {
  const params = { [constants.ZSTD_c_compressionLevel]: 1 };
  let [packed, whole] = [0, 0];
  for (const part of parts) {
    // Whoever looks has other work to do, and may have to stop.
    signal.throwIfAborted();
    await setImmediate();
    const together = Buffer.concat(part);
    packed += Math.min(together.length, zstdCompressSync(together, { params }).length);
    whole += together.length;
  }
  return whole === 0 ? 1 : packed / whole;
}
