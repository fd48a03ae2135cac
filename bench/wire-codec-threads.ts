import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import zlib from 'node:zlib';
import { PAGE_BYTES, type Item } from '../src/wire/codec/item.ts';
import { DEFAULT_SETTINGS } from '../src/wire/codec/settings.ts';
import type { ThreadCache } from '../src/wire/codec/thread-messages.ts';
import { DecodeThread, EncodeThread } from '../src/wire/codec/threads.ts';
import { Scope } from '../src/wire/cache/scope.ts';
import { placesDigest } from '../src/wire/cache/places.ts';
import { Store } from '../src/wire/cache/store.ts';
import { median, type BenchOptions, type Measure } from './contract.ts';
import { ownParts, pageCache, sharesOf } from './wire-mixes.ts';

const MIB = 1024 ** 2;
const MEMORY_BYTES = 384 * MIB;
const CACHE_BYTES = 1024 * MIB;
const UNDER_WAY = 8 * MIB;
const PACKET_BYTES = MIB / 2;
/** Of the memory, what is not zeros. */
const USED = 0.65;
const secret = Buffer.alloc(32, 1);
const CELLS = 2 ** 17;
/** As for a link of 100 Mbit/s, which is configured and not shaped. */
const LINK = 12.5e6;

interface MoveResult {
  readonly wireBytes: number;
  /** Of each end alone, with its share of Node's pool. */
  readonly encodeS: number;
  readonly decodeS: number;
}

function* pagesOf(memory: Buffer, from = 0, to = memory.length): Generator<Item> {
  for (let offset = from; offset < Math.min(to, memory.length); offset += PAGE_BYTES) {
    yield { kind: 'page', block: 0, offset, bytes: memory.subarray(offset, offset + PAGE_BYTES) };
  }
}

const settings = DEFAULT_SETTINGS;

/** The decoder's end; `answer` takes what is for the encoder. What comes out is compared with the memory. */
function decoderOf(
  memory: Buffer,
  far: ThreadCache,
  answer: (bytes: Uint8Array) => Promise<void>,
  signal: AbortSignal,
): DecodeThread {
  return new DecodeThread({
    start: {
      settings,
      seed: 1n,
      cache: far,
      mostHeldBytes: 64 * 2 ** 20,
      mostSummaryNames: 2_000_000,
    },
    give: (items) => {
      for (const item of items) {
        const at = item.kind === 'page' ? item.offset : 0;
        if (memory.compare(item.bytes, 0, item.bytes.length, at, at + item.bytes.length) !== 0) {
          return Promise.reject(new Error('what came out is not what went in'));
        }
      }
      return Promise.resolve();
    },
    answer,
    signal,
  });
}

/** Processor seconds of this process, its threads with it. */
async function processorSeconds(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

/**
 * Memory through both threads with their caches; then the same frames to a decoder that begins as the first one did,
 * so that each end's processor time is known.
 */
async function move(
  memory: Buffer,
  near: ThreadCache,
  far: ThreadCache,
  signal: AbortSignal,
): Promise<MoveResult> {
  const before = `${far.directory}.before`;
  if (existsSync(far.directory)) cpSync(far.directory, before, { recursive: true });
  const places = far.places?.file;
  if (places !== undefined && existsSync(places)) cpSync(places, `${places}.before`);
  const frames: Uint8Array[] = [];
  const decode = decoderOf(memory, far, (bytes) => encode.answer(bytes), signal);
  const farSummary = await decode.summary;
  const encode = new EncodeThread({
    start: { settings, seed: 1n, cache: near, cores: 1, farSummary },
    send: async (frame) => {
      frames.push(frame);
      await decode.write(frame);
    },
    signal,
  });
  encode.linkCarries(LINK);
  const bothS = await processorSeconds(async () => {
    // As the relay, which has no more than that under way.
    for (let at = 0; at < memory.length; at += UNDER_WAY) {
      await encode.add(pagesOf(memory, at, at + UNDER_WAY));
      await encode.flush();
    }
    await decode.close();
    await encode.close();
  });
  const again = {
    ...far,
    directory: before,
    ...(far.places && { places: { ...far.places, file: `${places}.before` } }),
  };
  const second = decoderOf(memory, again, () => Promise.resolve(), signal);
  await second.summary;
  const decodeS = await processorSeconds(async () => {
    for (const frame of frames) await second.write(frame);
    await second.close();
  });
  rmSync(before, { recursive: true, force: true });
  const wireBytes = frames.reduce((sum, { length }) => sum + length, farSummary.length);
  return { wireBytes, encodeS: bothS - decodeS, decodeS };
}

/** A guest's memory: the files of its image, what is its own, and zeros. */
function memoryOf(number: number, image: Buffer): Buffer {
  const own = ownParts(MEMORY_BYTES * USED, PAGE_BYTES, number);
  const used = Buffer.concat([image, ...Object.values(own)]);
  return Buffer.concat([used, Buffer.alloc(MEMORY_BYTES - used.length)]);
}

/** A guest moved cold, one of the same image after it, and one where the image was seeded. */
async function once(options: BenchOptions, image: Buffer): Promise<Record<string, MoveResult>> {
  const root = mkdtempSync(path.join(os.tmpdir(), 'godwit-bench-cache-'));
  const cache = (name: string): ThreadCache => {
    const directory = path.join(root, name);
    const kept = { directory, mostBytes: CACHE_BYTES, secret };
    return { ...kept, sharing: { with: 'host' }, peer: 'other', seeds: true };
  };
  const placesOf = (name: string): string => path.join(root, `${name}.places`);
  const guestAt = (name: string, far: string): ThreadCache => {
    const farDigest = placesDigest(placesOf(far), CELLS);
    return { ...cache(name), places: { file: placesOf(name), cells: CELLS, farDigest } };
  };
  try {
    const memory = memoryOf(1, image);
    const second = memoryOf(2, image);
    const moves: Record<string, MoveResult> = {};
    const { signal } = options;
    moves['cold'] = await move(memory, guestAt('a', 'b'), guestAt('b', 'a'), signal);
    moves['second guest of the image'] = await move(second, cache('a'), cache('b'), signal);
    moves['coming back'] = await move(memory, guestAt('b', 'a'), guestAt('a', 'b'), signal);
    const file = path.join(root, 'image');
    writeFileSync(file, image);
    const scope = new Scope(secret, { with: 'host' });
    const store = await Store.open({ ...cache('c'), scope });
    await store.seed(file, signal);
    store.close();
    moves['cold, image seeded'] = await move(memory, cache('d'), cache('c'), signal);
    return moves;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const CHANNELS = 4;
const CHANNEL_WINDOW_LOG = 22;

/** What QEMU's multifd sends at zstd 9: packets to four channels in turn, one context each; zeros are a flag. */
function qemuBytes(memory: Buffer): number {
  const channels: Buffer[][] = Array.from({ length: CHANNELS }, () => []);
  let packet = 0;
  const { constants } = zlib;
  for (let at = 0; at < memory.length; at += PACKET_BYTES) {
    const piece = memory.subarray(at, at + PACKET_BYTES);
    if (piece.every((byte) => byte === 0)) continue;
    channels[packet % CHANNELS]?.push(piece);
    packet += 1;
  }
  const params = {
    [constants.ZSTD_c_compressionLevel]: 9,
    [constants.ZSTD_c_windowLog]: CHANNEL_WINDOW_LOG,
  };
  const sizes = channels.map(
    (pieces) => zlib.zstdCompressSync(Buffer.concat(pieces), { params, chunkSize: MIB }).length,
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Both threads and both caches: wire bytes, and processor seconds per GB of memory of each end. */
export async function byThreads(options: BenchOptions, runs: number): Promise<Measure[]> {
  const all: Record<string, MoveResult>[] = [];
  const image = pageCache(sharesOf(MEMORY_BYTES * USED, PAGE_BYTES).image);
  const qemu = qemuBytes(memoryOf(1, image));
  for (let run = 0; run < runs; run += 1) {
    options.say(`threads with caches, run ${run + 1}`);
    all.push(await once(options, image));
  }
  return Object.keys(all[0] ?? {}).flatMap((name): Measure[] => {
    const measure = (what: string, pick: (moved: MoveResult) => number, unit: string): Measure => {
      const values = all.flatMap((run) => (run[name] === undefined ? [] : [pick(run[name])]));
      return { name: `threads, ${name}: ${what}`, value: median(values), unit, runs };
    };
    const gigabytes = MEMORY_BYTES / 1e9;
    return [
      measure('wire bytes', ({ wireBytes }) => wireBytes / 1e6, 'MB'),
      measure('of QEMU’s zstd 9 on four channels', ({ wireBytes }) => wireBytes / qemu, 'x'),
      measure('encoder', ({ encodeS }) => encodeS / gigabytes, 'processor s/GB'),
      measure('decoder', ({ decodeS }) => decodeS / gigabytes, 'processor s/GB'),
    ];
  });
}

/** What the store itself takes, a page. */
export async function byStore(runs: number): Promise<Measure[]> {
  const pages = 8192;
  const memory = pageCache(pages * PAGE_BYTES);
  const scope = new Scope(secret, { with: 'host' });
  const times: Record<string, number[]> = {
    seed: [],
    insert: [],
    'read back': [],
    'read seeded': [],
  };
  for (let run = 0; run < runs; run += 1) {
    const root = mkdtempSync(path.join(os.tmpdir(), 'godwit-bench-store-'));
    const options = { directory: path.join(root, 'cache'), mostBytes: CACHE_BYTES, scope };
    const image = path.join(root, 'image');
    writeFileSync(image, memory);
    const names = [...pagesOf(memory)].map(({ bytes }) => scope.nameOf(bytes));
    const timed = async (what: string, work: () => unknown): Promise<void> => {
      const before = process.cpuUsage();
      await work();
      const { user, system } = process.cpuUsage(before);
      times[what]?.push((user + system) / pages);
    };
    const store = await Store.open(options);
    await timed('insert', () => {
      for (const [at, { bytes }] of [...pagesOf(memory)].entries()) {
        store.insert(names[at] ?? bytes, bytes);
      }
    });
    await timed('read back', () => names.forEach((name) => store.read(name)));
    store.prune(0);
    await timed('seed', () => store.seed(image, new AbortController().signal));
    await timed('read seeded', () => names.forEach((name) => store.read(name)));
    store.close();
    rmSync(root, { recursive: true, force: true });
  }
  return Object.entries(times).map(([what, all]) => {
    return { name: `cache: ${what}, a page`, value: median(all), unit: 'us', runs };
  });
}
