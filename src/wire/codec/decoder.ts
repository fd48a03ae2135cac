import { Branches } from './branches.ts';
import { BadFrame, Reader } from './bytes.ts';
import type { FarContents, Hash64 } from './contents.ts';
import { applyDelta } from './delta.ts';
import { PAGE_BYTES, placeOf, type Item } from './item.ts';
import { PlacedPages } from './placed.ts';
import { RunReader, type Kind, type Run } from './records.ts';
import { RunningHash } from './running-hash.ts';
import { checkSettings, ID_BYTES, mostBody, type CodecSettings } from './settings.ts';
import { NumberTable, Window } from './window.ts';

export interface DecoderDependencies {
  readonly hash64: Hash64;
  readonly contents?: FarContents;
}

export interface BatchHead {
  readonly items: number;
  readonly hash: bigint;
}

const PUTS: ReadonlySet<Kind> = new Set([
  'literal',
  'delta',
  'cached',
  'base',
  'deltaOfBase',
  'code',
]);
/** Kinds whose content is completely in the batch or window. */
const ENCODED: ReadonlySet<Kind> = new Set(['literal', 'delta', 'code']);
const ZERO = Buffer.alloc(PAGE_BYTES);

/** Batch whose references are being resolved; held while some are missing. */
export interface Pending {
  readonly runs: readonly Run[];
  readonly data: Buffer;
  readonly head: BatchHead;
  /** Contents by window number; of a delta its base. */
  readonly found: Map<number, Uint8Array>;
  /** Missing contents; `fill` empties the set. */
  readonly missing: Set<number>;
  /** Filled numbers: they have the whole content, even for a delta. */
  readonly whole: Set<number>;
}

/** Restores an Encoder's items. Synchronous; throws BadFrame, after which the stream cannot continue. */
export class Decoder {
  readonly #settings: CodecSettings;
  readonly #deps: DecoderDependencies;
  readonly #window: Window;
  readonly #versions: NumberTable;
  readonly #reader = new RunReader();
  readonly #running: RunningHash;
  readonly #branches = new Branches();
  readonly #placed = new PlacedPages();
  readonly #page = Buffer.from(new ArrayBuffer(PAGE_BYTES));
  /** Buffers for contents of the open batch, as many as a batch has needed. */
  readonly #rooms: Buffer[] = [];

  constructor(settings: CodecSettings, deps: DecoderDependencies) {
    this.#settings = checkSettings(settings);
    this.#deps = deps;
    this.#window = new Window(settings.windowPages);
    this.#versions = new NumberTable(settings.windowPages * 2);
    this.#running = new RunningHash(deps.hash64, settings.batchItems);
  }

  /**
   * Reads the next batch. If `missing` is not empty, ask the far side for those contents, pass them to `fill`,
   * then take the items; later batches wait.
   */
  open(body: Buffer, head: BatchHead): Pending {
    if (body.length > mostBody(this.#settings)) throw new BadFrame('a batch is too large');
    if (head.items > this.#settings.batchItems) throw new BadFrame('a batch has too many items');
    const whole = new Reader(body);
    if (whole.left < 4) throw new BadFrame('it ends inside a record');
    const records = whole.bytes(4).readUInt32BE();
    const runs = this.#reader.read(whole.bytes(records), head.items);
    const data = whole.bytes(whole.left);
    const pending: Pending = {
      runs,
      data,
      head,
      found: new Map(),
      missing: new Set(),
      whole: new Set(),
    };
    this.#find(pending);
    return pending;
  }

  /**
   * Items of the batch in order; returns the window number to acknowledge. An item's bytes are a view, valid
   * until the next item. Take all of them.
   */
  *items(pending: Pending): Generator<Item, number, undefined> {
    if (pending.missing.size > 0) throw new Error('contents are missing still');
    const data = new Reader(pending.data);
    for (const run of pending.runs) {
      if (run.kind === 'bytes') {
        const bytes = data.bytes(run.numbers[0] ?? 0);
        this.#running.opaque(bytes);
        yield { kind: 'bytes', bytes };
      } else {
        for (let at = 0; at < run.count; at += 1) yield this.#pageOf(pending, run, at, data);
      }
    }
    if (data.left > 0) throw new BadFrame(`${data.left} bytes of it belong to nothing`);
    if (this.#running.close() !== pending.head.hash) {
      throw new BadFrame('what it decodes to is not what was sent');
    }
    this.#placed.handTo(this.#deps.contents);
    return this.#window.next;
  }

  #find(pending: Pending): void {
    let number = this.#window.next;
    let rooms = 0;
    for (const run of pending.runs) {
      if (!PUTS.has(run.kind)) continue;
      for (let at = 0; at < run.count; at += 1) {
        if (!ENCODED.has(run.kind)) {
          const content = this.#read(run, at, (this.#rooms[rooms] ??= roomForPage()));
          rooms += 1;
          if (content === undefined) pending.missing.add(number);
          else pending.found.set(number, content);
        }
        number += 1;
      }
    }
  }

  #read(run: Run, at: number, into: Buffer): Uint8Array | undefined {
    const { contents } = this.#deps;
    if (contents === undefined)
      throw new BadFrame('it names a content, and this side has no cache');
    const name =
      run.kind === 'cached' ? nameIn(run, at) : contents.baseOf(run.block, run.page + at);
    return name && contents.read(name, into);
  }

  #pageOf(pending: Pending, run: Run, at: number, data: Reader): Item {
    const page = run.page + at;
    const place = placeOf(run.block, page);
    const item = { kind: 'page', block: run.block, offset: page * PAGE_BYTES } as const;
    if (run.kind === 'zero') {
      this.#running.page(place, 0n);
      return { ...item, bytes: ZERO };
    }
    const number = this.#content(pending, run, at, data);
    const bytes = this.#window.at(number);
    this.#versions.set(place, number);
    this.#running.page(place, this.#deps.hash64(bytes));
    return { ...item, bytes };
  }

  /** Window number of the page's content, which is added if it is new. */
  #content(pending: Pending, run: Run, at: number, data: Reader): number {
    const version = this.#versions.get(placeOf(run.block, run.page + at));
    const next = this.#window.next;
    switch (run.kind) {
      case 'same':
        return this.#held(version);
      case 'repeat':
        return this.#held(next - (run.numbers[at] ?? 0));
      case 'literal':
        return this.#arrive(run, at, data.bytes(PAGE_BYTES));
      case 'code':
        this.#branches.page.set(data.bytes(PAGE_BYTES));
        this.#branches.makeRelative((run.page + at) * PAGE_BYTES);
        return this.#arrive(run, at, this.#branches.page);
      case 'delta':
        this.#page.set(this.#window.at(this.#held(version)));
        applyDelta(this.#page, data.bytes(data.number()));
        return this.#arrive(run, at, this.#page);
      case 'deltaOfBase': {
        const delta = data.bytes(data.number());
        this.#page.set(pending.found.get(next) ?? ZERO);
        if (!pending.whole.has(next)) applyDelta(this.#page, delta);
        return this.#arrive(run, at, this.#page);
      }
      default: {
        const content = pending.found.get(next) ?? ZERO;
        if (pending.whole.has(next)) return this.#arrive(run, at, content);
        if (run.kind === 'cached') this.#placed.add(run.block, run.page + at, nameIn(run, at));
        return this.#window.put(content);
      }
    }
  }

  #held(number: number): number {
    if (!this.#window.holds(number)) throw new BadFrame('it refers to a content that is gone');
    return number;
  }

  #arrive(run: Run, at: number, page: Uint8Array): number {
    const name = this.#deps.contents?.arrived(page);
    if (name !== undefined) this.#placed.add(run.block, run.page + at, name);
    return this.#window.put(page);
  }
}

function roomForPage(): Buffer {
  return Buffer.from(new ArrayBuffer(PAGE_BYTES));
}

function nameIn(run: Run, at: number): Buffer {
  return run.names.subarray(at * ID_BYTES, (at + 1) * ID_BYTES);
}

/** Accepts a missing content; false if it was not requested. */
export function fill(pending: Pending, number: number, content: Uint8Array): boolean {
  if (content.length !== PAGE_BYTES || !pending.missing.delete(number)) return false;
  pending.found.set(number, Buffer.from(content));
  pending.whole.add(number);
  return true;
}
