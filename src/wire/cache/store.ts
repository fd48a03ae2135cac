import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { makeHash64 } from '../codec/hash.ts';
import type { Hash64 } from '../codec/contents.ts';
import { nextSegment, seedIndexes, survey, type Lying } from './directory.ts';
import { NameTable } from './name-table.ts';
import type { Scope } from './scope.ts';
import { indexFile, Seed, seedsFirst } from './seed.ts';
import { ENTRY_BYTES, removeSegment, Segment, segmentPages } from './segment.ts';

export interface StoreOptions {
  /** Host's cache, in memory if it is on a tmpfs. Created if missing. */
  readonly directory: string;
  readonly mostBytes: number;
  readonly scope: Scope;
  /** The circle's seeds may be used for the peer; default: true. */
  readonly seeds?: boolean;
}

export interface StoreStatus {
  readonly bytes: number;
  readonly mostBytes: number;
  readonly pages: number;
  readonly seeds: readonly { readonly file: string; readonly pages: number }[];
  readonly hits: number;
  readonly misses: number;
  /** Pages that differed from the stored ones and were dropped. */
  readonly spoiled: number;
  readonly evicted: number;
  /** Reason why nothing more is stored, such as a full disk. */
  readonly failure: string | undefined;
}

interface Active {
  readonly segment: Segment;
  readonly file: number;
  readonly lying: Lying;
}

/**
 * Contents by name for one scope and one peer, in a directory shared by all on the host. Each mover appends only
 * to its own segments. Unreadable contents count as absent, and unwritable ones are not kept: a cache never
 * fails a migration.
 */
export class Store {
  readonly #options: StoreOptions;
  readonly #hash64: Hash64;
  readonly #table = new NameTable();
  /** Index: a spot's file number; undefined once removed. */
  readonly #files: (Segment | Seed | undefined)[] = [];
  /** All segments of the directory, oldest first, including other scopes and processes. */
  #lying: Lying[] = [];
  #indexBytes = 0;
  #active: Active | undefined;
  #opened = 0;
  #hits = 0;
  #misses = 0;
  #spoiled = 0;
  #evicted = 0;
  #failure: string | undefined;
  /** Requested pages survive their segment. */
  #keeps = true;

  private constructor(options: StoreOptions, hash64: Hash64) {
    this.#options = options;
    this.#hash64 = hash64;
  }

  static async open(options: StoreOptions): Promise<Store> {
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    const store = new Store(options, await makeHash64(options.scope.checkSeed));
    store.#survey();
    for (const { path: segment } of store.#lying) store.#load(segment);
    const { directory, scope, seeds = true } = options;
    for (const index of seeds ? seedIndexes(directory, scope.tag) : []) store.#loadSeed(index);
    store.#opened = store.#files.length;
    store.#makeRoom(0);
    return store;
  }

  has(name: Uint8Array): boolean {
    return this.#table.get(name) !== undefined;
  }

  /** Stored page of that name, or undefined; uses `into` if given. */
  read(name: Uint8Array, into?: Buffer): Buffer | undefined {
    const spot = this.#table.get(name);
    const file = spot && this.#files[spot.file];
    const page = spot && file ? this.#readAt(file, spot.page, into) : undefined;
    if (page === undefined) {
      this.#misses += 1;
      if (spot !== undefined) {
        this.#spoiled += 1;
        this.#table.delete(name);
      }
      return undefined;
    }
    this.#hits += 1;
    return page;
  }

  /** True if it was stored, or stored again, since this store was opened. */
  isNew(name: Uint8Array): boolean {
    return (this.#table.get(name)?.file ?? -1) >= this.#opened;
  }

  /** Stores the page; `name` must be the scope's name for it. Does nothing if it is present or cannot be stored. */
  insert(name: Uint8Array, page: Uint8Array): void {
    if (this.#failure !== undefined || this.has(name)) return;
    try {
      if (!this.#makeRoom(ENTRY_BYTES)) return;
      const active = this.#active ?? this.#begin();
      this.#table.set(name, { file: active.file, page: active.segment.append(name, page) });
      active.lying.bytes = active.segment.bytes;
      if (active.segment.open) return;
      active.segment.flush();
      this.#active = undefined;
    } catch (error) {
      this.#failure = error instanceof Error ? error.message : String(error);
    }
  }

  /** Names for a summary: seeds first, then the newest. */
  *names(): Generator<Uint8Array> {
    for (const file of this.#files.toReversed().toSorted(seedsFirst)) {
      for (let page = (file?.count ?? 0) - 1; page >= 0; page -= 1) {
        const name = file?.nameAt(page);
        if (name !== undefined) yield name;
      }
    }
  }

  /** Indexes a file of this host at 4 KiB, replacing an earlier index; returns the number of nonzero pages. */
  async seed(file: string, signal: AbortSignal): Promise<number> {
    const whole = path.resolve(file);
    const size = statSync(whole).size;
    // 16 bytes per page, plus the header.
    if (!this.#makeRoom(Math.ceil(size / 256) + 8192)) {
      throw new RangeError(`the index of ${whole} does not fit into the cache`);
    }
    const id = createHash('sha256').update(whole).digest('hex').slice(0, 16);
    const index = path.join(this.#options.directory, `${this.#options.scope.tag}-${id}.seed`);
    const pages = await indexFile(whole, index, this.#options.scope, signal);
    const before = this.#files.findIndex(
      (each) => each instanceof Seed && each.header.file === whole,
    );
    if (before >= 0) this.#forget(before);
    this.#survey();
    this.#loadSeed(index);
    return pages;
  }

  /** Removes the oldest entries until at most `bytes` are left; returns the freed bytes. */
  prune(bytes: number): number {
    const before = this.#bytes();
    this.#keeps = false;
    while (this.#bytes() > bytes && this.#evict());
    this.#keeps = true;
    if (bytes < this.#bytes()) this.#dropSeeds();
    return before - this.#bytes();
  }

  status(): StoreStatus {
    const seeds = this.#files.filter((file) => file instanceof Seed);
    return {
      bytes: this.#bytes(),
      mostBytes: this.#options.mostBytes,
      pages: this.#table.size,
      seeds: seeds.map(({ header, count }) => ({ file: header.file, pages: count })),
      hits: this.#hits,
      misses: this.#misses,
      spoiled: this.#spoiled,
      evicted: this.#evicted,
      failure: this.#failure,
    };
  }

  close(): void {
    for (const [number, file] of this.#files.entries()) {
      try {
        file?.close();
      } catch (error) {
        this.#failure ??= error instanceof Error ? error.message : String(error);
      }
      this.#files[number] = undefined;
    }
    this.#active = undefined;
  }

  #readAt(file: Segment | Seed, page: number, into?: Buffer): Buffer | undefined {
    try {
      return file.read(page, into);
    } catch {
      // An unreadable file does not have the page.
      return undefined;
    }
  }

  #bytes(): number {
    return this.#lying.reduce((sum, { bytes }) => sum + bytes, this.#indexBytes);
  }

  /** Reads the directory again, since other processes may have written or pruned. */
  #survey(): void {
    const found = survey(this.#options.directory, this.#active?.lying);
    this.#lying = found.segments;
    this.#indexBytes = found.indexBytes;
  }

  #load(segmentPath: string): void {
    if (!segmentPath.includes(`-${this.#options.scope.peerTag}-`)) return;
    try {
      this.#add(Segment.open(segmentPath, this.#hash64));
    } catch {
      // Another process has pruned it since the listing, or a part is missing.
    }
  }

  #loadSeed(index: string): void {
    const seed = Seed.open(index, this.#options.scope);
    if (seed !== undefined) this.#add(seed);
  }

  #add(file: Segment | Seed): number {
    const number = this.#files.push(file) - 1;
    for (let page = 0; page < file.count; page += 1) {
      const name = file.nameAt(page);
      if (name !== undefined) this.#table.set(name, { file: number, page });
    }
    return number;
  }

  #begin(): Active {
    const { directory, mostBytes, scope } = this.#options;
    this.#survey();
    const random = randomBytes(4).toString('hex');
    const whole = nextSegment(directory, this.#lying.at(-1), scope.peerTag, random);
    const segment = Segment.create(whole, segmentPages(mostBytes), this.#hash64);
    const lying = { path: whole, bytes: 0 };
    this.#lying.push(lying);
    this.#active = { segment, file: this.#add(segment), lying };
    return this.#active;
  }

  #makeRoom(bytes: number): boolean {
    while (this.#bytes() + bytes > this.#options.mostBytes) {
      if (!this.#evict()) return false;
    }
    return true;
  }

  /** Removes the oldest segment but keeps its recently requested pages; false if there is none. */
  #evict(): boolean {
    const oldest = this.#lying.shift();
    if (oldest === undefined) return false;
    if (this.#active?.lying === oldest) this.#active = undefined;
    const number = this.#files.findIndex(
      (file) => file instanceof Segment && file.path === oldest.path,
    );
    const file = this.#files[number];
    const again = file instanceof Segment && this.#keeps ? file.asked() : [];
    if (number >= 0) this.#forget(number);
    removeSegment(oldest.path);
    // At most half of the removed pages, so they fit.
    for (const { name, page } of again) this.insert(name, page);
    return true;
  }

  #forget(number: number): void {
    const file = this.#files[number];
    this.#files[number] = undefined;
    for (let page = 0; page < (file?.count ?? 0); page += 1) {
      const name = file?.nameAt(page);
      if (name === undefined || this.#table.get(name)?.file !== number) continue;
      this.#table.delete(name);
      this.#evicted += 1;
    }
    file?.close();
  }

  #dropSeeds(): void {
    for (const [number, file] of this.#files.entries()) {
      if (file instanceof Seed) this.#forget(number);
    }
    const { directory, scope } = this.#options;
    for (const index of seedIndexes(directory, scope.tag)) rmSync(index, { force: true });
    this.#survey();
  }
}
