import type { Batch } from './batch.ts';
import { Branches } from './branches.ts';
import { Writer } from './bytes.ts';
import type { Hash64, NearContents } from './contents.ts';
import { writeDelta } from './delta.ts';
import { PAGE_BYTES, pageNumber, placeOf, type Item } from './item.ts';
import { PlacedPages } from './placed.ts';
import { RunWriter, type Kind } from './records.ts';
import { RunningHash } from './running-hash.ts';
import { checkSettings, mostRecords, type CodecSettings } from './settings.ts';
import { NumberTable, Window } from './window.ts';

export interface EncoderDependencies {
  readonly hash64: Hash64;
  /** Without it, the stream refers only to itself. */
  readonly contents?: NearContents;
}

/** Largest useful delta; a literal compresses to about as much. */
const MAX_DELTA = 1280;
const PAGE_ROOM = PAGE_BYTES + 16;
const RECORD_ROOM = 64;
const ZERO = Buffer.alloc(PAGE_BYTES);
const NONE: readonly Batch[] = [];
/** Batches whose memory will be returned; the memory of others is garbage-collected. */
const MAX_LENT = 16;

/** Earlier content of a place, if the far side still has it: its cache may be smaller than the guest. */
function baseThere(contents: NearContents, block: number, page: number): Uint8Array | undefined {
  const base = contents.baseOf(block, page);
  return base !== undefined && contents.farHas(base) ? base : undefined;
}

/** Chooses the smallest sufficient encoding for each page. Synchronous; holds all state of the stream. */
export class Encoder {
  /** Items by encoding, since the start. */
  readonly encoded: Record<Kind, number> = {
    bytes: 0,
    zero: 0,
    literal: 0,
    same: 0,
    delta: 0,
    repeat: 0,
    cached: 0,
    base: 0,
    deltaOfBase: 0,
    code: 0,
  };
  /** Bytes matter more than work: code is encoded to compress better. */
  sparing = false;
  readonly #settings: CodecSettings;
  readonly #deps: EncoderDependencies;
  readonly #window: Window;
  readonly #versions: NumberTable;
  readonly #byHash: NumberTable;
  readonly #records: Writer;
  #data: Writer;
  readonly #spare: Writer[] = [];
  readonly #lent = new Map<Buffer, Writer>();
  readonly #runs: RunWriter;
  readonly #running: RunningHash;
  /** Aligned for comparing words. */
  readonly #page = Buffer.from(new ArrayBuffer(PAGE_BYTES));
  readonly #base = Buffer.from(new ArrayBuffer(PAGE_BYTES));
  readonly #hash = new BigUint64Array(1);
  readonly #hashWords = new Uint32Array(this.#hash.buffer);
  readonly #branches = new Branches();
  readonly #placed = new PlacedPages();
  #items = 0;
  #plainBytes = 0;
  #acknowledged = 1;
  /** 1 for each window cell whose content was sent only as a reference. */
  readonly #referred: Uint8Array;
  /** Referenced contents that left the window and may still be requested; at most one window. */
  readonly #kept = new Map<number, Buffer>();
  /** Requested and unacknowledged numbers, which are sent only once. */
  readonly #requested = new Set<number>();

  constructor(settings: CodecSettings, deps: EncoderDependencies) {
    this.#settings = checkSettings(settings);
    this.#deps = deps;
    this.#window = new Window(settings.windowPages);
    this.#referred = new Uint8Array(settings.windowPages);
    this.#versions = new NumberTable(settings.windowPages * 2);
    this.#byHash = new NumberTable(settings.windowPages * 2);
    this.#records = new Writer(mostRecords(settings));
    this.#data = new Writer(settings.batchBytes);
    this.#runs = new RunWriter(this.#records);
    this.#running = new RunningHash(deps.hash64, settings.batchItems);
  }

  /** Accepts an item; returns the batches that it filled. Bytes may be split at the far side. */
  add(item: Item): readonly Batch[] {
    if (item.kind === 'bytes') return this.#addBytes(item.bytes);
    const number = pageNumber(item.block, item.offset, item.bytes);
    const full = this.#makeRoom(PAGE_ROOM);
    this.#plainBytes += PAGE_BYTES;
    this.#addPage(item.block, number, item.bytes);
    return full;
  }

  /** Batch of all added items, so that none waits for later input. */
  flush(): readonly Batch[] {
    return this.#items === 0 ? NONE : [this.#take()];
  }

  recycle({ data }: Batch): void {
    const writer = this.#lent.get(data);
    if (writer === undefined) return;
    this.#lent.delete(data);
    writer.clear();
    this.#spare.push(writer);
  }

  /** The far side has decoded a batch with this `lastNumber`, so no content up to it will be requested. */
  acknowledge(lastNumber: number): void {
    if (lastNumber > this.#window.next) throw new RangeError(`nothing has number ${lastNumber}`);
    this.#acknowledged = Math.max(this.#acknowledged, lastNumber);
    for (const numbers of [this.#kept, this.#requested]) {
      for (const number of numbers.keys()) {
        if (number < this.#acknowledged) numbers.delete(number);
      }
    }
  }

  /**
   * Records that the far side lacks a content; `content` then returns it once. False for a number that was not
   * sent as a reference, is acknowledged, or was already requested: each content is sent at most once more.
   */
  request(number: number): boolean {
    if (this.#requested.has(number) || this.#missable(number) === undefined) return false;
    this.#requested.add(number);
    return true;
  }

  /** View of the requested content, which is then released; undefined if it was acknowledged meanwhile. */
  content(number: number): Uint8Array | undefined {
    const page = this.#requested.has(number) ? this.#missable(number) : undefined;
    if (this.#window.holds(number)) this.#referred[number % this.#settings.windowPages] = 0;
    this.#kept.delete(number);
    return page;
  }

  /** Referenced content that the far side may still lack. */
  #missable(number: number): Uint8Array | undefined {
    if (number < this.#acknowledged) return undefined;
    if (!this.#window.holds(number)) return this.#kept.get(number);
    const wasReferred = this.#referred[number % this.#settings.windowPages] === 1;
    return wasReferred ? this.#window.at(number) : undefined;
  }

  #addBytes(bytes: Uint8Array): readonly Batch[] {
    let batches = NONE;
    let at = 0;
    while (at < bytes.length) {
      batches = [...batches, ...this.#makeRoom(1)];
      const piece = bytes.subarray(at, at + this.#data.room);
      this.#runs.bytes(piece.length);
      this.#data.bytes(piece);
      this.#running.opaque(piece);
      this.#count('bytes');
      this.#plainBytes += piece.length;
      at += piece.length;
    }
    return batches;
  }

  #addPage(block: number, number: number, bytes: Uint8Array): void {
    const place = placeOf(block, number);
    if (bytes[0] === 0 && ZERO.equals(bytes)) {
      this.#emit('zero', block, number);
      this.#running.page(place, 0n);
      return;
    }
    this.#page.set(bytes);
    const hash = this.#deps.hash64(this.#page);
    this.#running.page(place, hash);
    this.#hash[0] = hash;
    const key = this.#hashWords[0] ?? 0;
    const version = this.#versions.get(place);
    if (this.#window.same(version, this.#page)) return this.#emit('same', block, number);
    const twin = this.#byHash.get(key);
    if (this.#window.same(twin, this.#page)) {
      this.#emit('repeat', block, number);
      this.#records.number(this.#window.next - twin);
      this.#versions.set(place, twin);
      return;
    }
    const referred = this.#addContent(block, number, version);
    this.#keepLeaving();
    const put = this.#window.put(this.#page);
    this.#referred[put % this.#settings.windowPages] = referred ? 1 : 0;
    this.#versions.set(place, put);
    this.#byHash.set(key, put);
  }

  /** Encodes a content outside the window: by reference, as a delta, or in full. True if the far side may lack it. */
  #addContent(block: number, number: number, version: number): boolean {
    const { contents } = this.#deps;
    const name = contents?.nameOf(this.#page);
    let base: Uint8Array | undefined;
    if (name !== undefined) this.#placed.add(block, number, name);
    if (contents !== undefined && name !== undefined && this.#mayRefer()) {
      base = baseThere(contents, block, number);
      // Stored here too, although nothing is sent: the far side may refer to it when the guest returns.
      if (base !== undefined && name.equals(base)) {
        this.#emit('base', block, number);
        contents.left(this.#page, name, false);
        return true;
      }
      if (contents.farHas(name)) {
        this.#emit('cached', block, number);
        this.#records.bytes(name);
        contents.left(this.#page, name, false);
        return true;
      }
    }
    const delta = this.#addDelta(block, number, version, base);
    if (delta === undefined) this.#addLiteral(block, number);
    if (contents !== undefined && name !== undefined) contents.left(this.#page, name, true);
    return delta === 'deltaOfBase';
  }

  #addLiteral(block: number, number: number): void {
    const branches = this.#branches;
    if (this.sparing) branches.page.set(this.#page);
    if (!this.sparing || !branches.looksLikeCode()) {
      this.#emit('literal', block, number);
      return this.#data.bytes(this.#page);
    }
    this.#emit('code', block, number);
    branches.makeAbsolute(number * PAGE_BYTES);
    this.#data.bytes(branches.page);
  }

  /** Keeps the content whose cell is reused next, if the far side may request it. */
  #keepLeaving(): void {
    const leaving = this.#window.next - this.#settings.windowPages;
    const referred = this.#referred[this.#window.next % this.#settings.windowPages] === 1;
    if (referred && leaving >= this.#acknowledged) {
      this.#kept.set(leaving, Buffer.from(this.#window.at(leaving)));
    }
  }

  #addDelta(
    block: number,
    number: number,
    version: number,
    base: Uint8Array | undefined,
  ): Kind | undefined {
    let kind: Kind = 'delta';
    let old: Uint8Array | undefined;
    if (this.#window.holds(version)) {
      old = this.#window.at(version);
    } else {
      kind = 'deltaOfBase';
      const read = base && this.#deps.contents?.read(base);
      if (read !== undefined) this.#base.set(read);
      old = read && this.#base;
    }
    if (old === undefined || !writeDelta(old, this.#page, MAX_DELTA, this.#data)) return undefined;
    this.#emit(kind, block, number);
    return kind;
  }

  /** A reference is allowed only while its content can still be sent. */
  #mayRefer(): boolean {
    return this.#window.next - this.#acknowledged < this.#settings.windowPages;
  }

  #emit(kind: Kind, block: number, number: number): void {
    this.#runs.page(kind, block, number);
    this.#count(kind);
  }

  #count(kind: Kind): void {
    this.encoded[kind] += 1;
    this.#items += 1;
  }

  #makeRoom(dataBytes: number): readonly Batch[] {
    const room =
      this.#data.room >= dataBytes &&
      this.#records.room >= RECORD_ROOM &&
      this.#items < this.#settings.batchItems;
    return room ? NONE : [this.#take()];
  }

  #take(): Batch {
    this.#runs.end();
    const records = Buffer.allocUnsafe(4 + this.#records.length);
    records.writeUInt32BE(this.#records.length);
    records.set(this.#records.view(), 4);
    const data = this.#data.view();
    const batch = {
      records,
      data,
      items: this.#items,
      hash: this.#running.close(),
      lastNumber: this.#window.next,
      plainBytes: this.#plainBytes,
    };
    this.#placed.handTo(this.#deps.contents);
    this.#records.clear();
    if (this.#lent.size < MAX_LENT) this.#lent.set(data, this.#data);
    this.#data = this.#spare.pop() ?? new Writer(this.#settings.batchBytes);
    this.#items = 0;
    this.#plainBytes = 0;
    return batch;
  }
}
