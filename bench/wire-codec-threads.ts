import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Item } from '../src/wire/codec/item.ts';
import { PAGE_BYTES } from '../src/wire/codec/item.ts';
import { DEFAULT_SETTINGS } from '../src/wire/codec/settings.ts';
import type { ThreadCache } from '../src/wire/codec/thread-messages.ts';
import { DecodeThread, EncodeThread } from '../src/wire/codec/threads.ts';
import { Scope } from '../src/wire/cache/scope.ts';
import { placesDigest } from '../src/wire/cache/places.ts';
import { Store } from '../src/wire/cache/store.ts';
import type { BenchOptions, Measure } from './contract.ts';
import { median } from './contract.ts';
import { guest, pageCache } from './wire-mixes.ts';

const MEMORY_BYTES = 128 * 1024 * 1024;
const CACHE_BYTES = 512 * 1024 * 1024;
const secret = Buffer.alloc(32, 1);
const CELLS = MEMORY_BYTES / PAGE_BYTES;

interface Moved {
  readonly wireBytes: number;
  readonly processorS: number;
}

function* pagesOf(memory: Buffer): Generator<Item> {
  for (let offset = 0; offset < memory.length; offset += PAGE_BYTES) {
    yield { kind: 'page', block: 0, offset, bytes: memory.subarray(offset, offset + PAGE_BYTES) };
  }
}

/** Memory through both threads with their caches, over a link of 1 Gbit/s that is told, not shaped. */
async function move(
  memory: Buffer,
  near: ThreadCache,
  far: ThreadCache,
  signal: AbortSignal,
): Promise<Moved> {
  const before = process.cpuUsage();
  let wireBytes = 0;
  let same = true;
  const settings = DEFAULT_SETTINGS;
  const decode: DecodeThread = new DecodeThread({
    start: {
      settings,
      seed: 1n,
      cache: far,
      mostHeldBytes: 64 * 2 ** 20,
      mostSummaryNames: 500_000,
    },
    give: (items) => {
      for (const item of items) {
        const at = item.kind === 'page' ? item.offset : 0;
        same &&= memory.compare(item.bytes, 0, item.bytes.length, at, at + item.bytes.length) === 0;
      }
      return Promise.resolve();
    },
    answer: (bytes) => Promise.resolve(encode.answer(bytes)),
    signal,
  });
  const farSummary = await decode.summary;
  const encode = new EncodeThread({
    start: { settings, seed: 1n, cache: near, cores: 1, farSummary },
    send: async (frame) => {
      wireBytes += frame.length;
      await decode.write(frame);
    },
    signal,
  });
  encode.linkCarries(120e6);
  await encode.add(pagesOf(memory));
  await encode.flush();
  await decode.close();
  await encode.close();
  if (!same) throw new Error('what came out is not what went in');
  const { user, system } = process.cpuUsage(before);
  return { wireBytes: wireBytes + farSummary.length, processorS: (user + system) / 1e6 };
}

/** A guest moved cold, one of the same image after it, and one where the image was seeded. */
async function once(options: BenchOptions): Promise<Record<string, Moved>> {
  const root = mkdtempSync(path.join(os.tmpdir(), 'godwit-bench-cache-'));
  const cache = (name: string): ThreadCache => {
    const directory = path.join(root, name);
    return { directory, mostBytes: CACHE_BYTES, secret, sharing: { with: 'host' } };
  };
  const placesOf = (name: string): string => path.join(root, `${name}.places`);
  const guestAt = (name: string, far: string): ThreadCache => {
    const farDigest = placesDigest(placesOf(far), CELLS);
    return { ...cache(name), places: { file: placesOf(name), cells: CELLS, farDigest } };
  };
  try {
    const memory = guest(MEMORY_BYTES);
    const second = guest(MEMORY_BYTES);
    // A second guest has the same files in its page cache, and memory of its own beside them.
    const files = Math.floor((MEMORY_BYTES * 0.3) / PAGE_BYTES) * PAGE_BYTES;
    const used = MEMORY_BYTES - files * 1.5;
    for (let at = files; at < files + used; at += 512) second[at] = (second[at] ?? 0) ^ 0x55;
    const moves: Record<string, Moved> = {};
    moves['cold'] = await move(memory, guestAt('a', 'b'), guestAt('b', 'a'), options.signal);
    moves['second guest of the image'] = await move(second, cache('a'), cache('b'), options.signal);
    moves['coming back'] = await move(memory, guestAt('b', 'a'), guestAt('a', 'b'), options.signal);
    const image = path.join(root, 'image');
    writeFileSync(image, pageCache(files));
    const scope = new Scope(secret, { with: 'host' });
    const store = await Store.open({ ...cache('c'), scope });
    await store.seed(image, options.signal);
    store.close();
    moves['cold, image seeded'] = await move(memory, cache('a'), cache('c'), options.signal);
    return moves;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Both threads and both caches: wire bytes, and processor seconds per GB of memory of both ends together. */
export async function byThreads(options: BenchOptions, runs: number): Promise<Measure[]> {
  const all: Record<string, Moved>[] = [];
  for (let run = 0; run < runs; run += 1) {
    options.say(`threads with caches, run ${run + 1}`);
    all.push(await once(options));
  }
  return Object.keys(all[0] ?? {}).flatMap((name): Measure[] => {
    const of = (pick: (moved: Moved) => number): number =>
      median(all.flatMap((run) => (run[name] === undefined ? [] : [pick(run[name])])));
    const ratio = MEMORY_BYTES / of(({ wireBytes }) => wireBytes);
    const perGB = of(({ processorS }) => processorS) / (MEMORY_BYTES / 1e9);
    return [
      { name: `threads, ${name}: memory to wire bytes`, value: ratio, unit: 'x', runs },
      { name: `threads, ${name}: both ends`, value: perGB, unit: 'processor s/GB', runs },
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
