import { PAGE_BYTES, type Item } from '../codec/item.ts';
import { parseChannel } from '../stream/channel.ts';
import type { StreamContext } from '../stream/context.ts';
import { recordHeader } from '../stream/records.ts';
import type {
  ChannelParser,
  RamBlock,
  RamRecord,
  SpanKind,
  StreamNote,
  StreamSink,
} from '../stream/types.ts';
import { AWAITED } from './in-flight.ts';
import { blockToken, endToken, FORM, FormGuess, formToken, rawHead } from './tokens.ts';

const ZERO = Buffer.alloc(PAGE_BYTES);
/** Smaller pieces of raw bytes are joined into one item. */
const SMALL_BYTES = 2048;

/** Converts a connection's bytes to codec items: pages with places, the rest as tokens. */
export class StreamItems implements StreamSink {
  readonly #context: StreamContext;
  readonly #parser: ChannelParser;
  readonly #guess = new FormGuess();
  readonly #named = new Map<number, string>();
  /** Last address and rounds of each block, see `round`. */
  readonly #passes = new Map<number, { address: number; rounds: number }>();
  #items: Item[] = [];
  /** Raw bytes without a token yet. */
  #raw: Uint8Array[] = [];
  #rawBytes = 0;
  #chunk: ArrayBufferLike | undefined;
  /** Passes over memory that the hypervisor has begun; AWAITED from post-copy's package on. */
  round = AWAITED;
  /** Something other than a page arrived since `pushed`: an answer may be awaited, or a round ends. */
  #other = false;
  /**
   * A process waits for pages: from post-copy's package on, and in a recovered post-copy, whose stream has no
   * header.
   */
  #awaited = true;

  constructor(context: StreamContext) {
    this.#context = context;
    this.#parser = parseChannel(this, context);
  }

  /** Bytes waiting for their continuation. */
  get heldBytes(): number {
    return this.#parser.heldBytes;
  }

  /** No process waits for data since `pushed`. */
  get patient(): boolean {
    return !this.#other && !this.#awaited;
  }

  /** All data until now is on its way. */
  pushed(): void {
    this.#other = false;
  }

  /** Items completed by this chunk. They may refer to it, so use them before it is reused. */
  push(chunk: Uint8Array): Item[] {
    this.#chunk = chunk.buffer;
    this.#parser.push(chunk);
    return this.#take();
  }

  /** Incomplete data of a stream that pauses. */
  flush(): Item[] {
    this.#parser.flush();
    return this.#take();
  }

  /** Incomplete data, and the mark of the hypervisor's end. */
  end(): Item[] {
    this.#parser.end();
    return [...this.#take(), { kind: 'bytes', bytes: endToken() }];
  }

  span(kind: SpanKind, bytes: Uint8Array, start: number, end: number): void {
    this.#other = true;
    if (kind === 'file-header') {
      this.#awaited = false;
      this.round = 1;
    }
    this.#addRaw(this.#own(bytes, start, end));
  }

  page(record: RamRecord, bytes: Uint8Array, start: number, end: number): void {
    const content = this.#own(bytes, start, end);
    if (record.header === 'none' || content.length !== PAGE_BYTES) {
      this.#addRaw(recordHeader('page', record));
      this.#addRaw(content);
      return;
    }
    this.#addPage(record, content, 0);
  }

  zero(record: RamRecord): void {
    if (record.header === 'none') return;
    if (this.#context.pageBytes === PAGE_BYTES) return this.#addPage(record, ZERO, FORM.zero);
    this.#addRaw(recordHeader('zero', record));
    this.#addRaw(ZERO.subarray(0, 1));
  }

  xbzrle(record: RamRecord, bytes: Uint8Array, start: number, end: number): void {
    this.#addRaw(recordHeader('xbzrle', record));
    this.#addRaw(this.#own(bytes, start, end));
  }

  note(note: StreamNote): void {
    if (note.type !== 'package') return;
    this.round = AWAITED;
    this.#awaited = true;
  }

  #addPage({ block, address, header }: RamRecord, content: Uint8Array, kind: number): void {
    this.#name(block);
    const zero = content === ZERO || (content[0] === 0 && ZERO.equals(content));
    const expected = this.#guess.next(block.index, zero);
    const form = kind | (header === 'named' ? FORM.named : 0);
    if (form !== expected) this.#addToken(formToken(form));
    this.#endRaw();
    this.#items.push({ kind: 'page', block: block.index, offset: address, bytes: content });
    if (!this.#awaited) this.#follow(block.index, address);
  }

  /** Addresses of a block only rise within a round. */
  #follow(block: number, address: number): void {
    const pass = this.#passes.get(block);
    if (pass === undefined) {
      this.#passes.set(block, { address, rounds: 1 });
      return;
    }
    if (address <= pass.address) pass.rounds += 1;
    pass.address = address;
    this.round = Math.max(this.round, pass.rounds);
  }

  #name({ index, name }: RamBlock): void {
    if (this.#named.get(index) === name) return;
    this.#named.set(index, name);
    this.#addToken(blockToken(index, name));
  }

  #addToken(token: Buffer): void {
    this.#endRaw();
    this.#items.push({ kind: 'bytes', bytes: token });
  }

  /** Bytes that outlive the call, like the caller's chunk but unlike a parser's buffer. */
  #own(bytes: Uint8Array, start: number, end: number): Uint8Array {
    return bytes.buffer === this.#chunk ? bytes.subarray(start, end) : bytes.slice(start, end);
  }

  #addRaw(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#raw.push(bytes);
    this.#rawBytes += bytes.length;
  }

  #endRaw(): void {
    if (this.#rawBytes === 0) return;
    const pieces = [rawHead(this.#rawBytes), ...this.#raw];
    const joined = this.#rawBytes < SMALL_BYTES ? [Buffer.concat(pieces)] : pieces;
    for (const bytes of joined) this.#items.push({ kind: 'bytes', bytes });
    this.#raw = [];
    this.#rawBytes = 0;
  }

  #take(): Item[] {
    this.#endRaw();
    const items = this.#items;
    this.#items = [];
    this.#chunk = undefined;
    return items;
  }
}
