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
/** Pieces of raw bytes below this are joined, so that each is not an item of its own. */
const SMALL_BYTES = 2048;

/** One connection's bytes as items of the codec: pages by their places, the rest as tokens. */
export class StreamItems implements StreamSink {
  readonly #context: StreamContext;
  readonly #parser: ChannelParser;
  readonly #guess = new FormGuess();
  readonly #named = new Map<number, string>();
  /** Where each block was last reported, and how often it was gone through, see `round`. */
  readonly #passes = new Map<number, { address: number; rounds: number }>();
  #items: Item[] = [];
  /** Raw bytes that no token has been made for yet. */
  #raw: Uint8Array[] = [];
  #rawBytes = 0;
  #chunk: ArrayBufferLike | undefined;
  /** How often the hypervisor has begun to go through memory; AWAITED from post-copy's package on. */
  round = AWAITED;
  /** Something else than a page came since `pushed`: an answer may be waited for, or it is the end of a round. */
  #other = false;
  /** Somebody waits for pages: from post-copy's package on, and where post-copy recovers, whose stream has no header. */
  #awaited = true;

  constructor(context: StreamContext) {
    this.#context = context;
    this.#parser = parseChannel(this, context);
  }

  /** Bytes that wait for what follows. */
  get heldBytes(): number {
    return this.#parser.heldBytes;
  }

  /** Nobody waits for what came since `pushed`. */
  get patient(): boolean {
    return !this.#other && !this.#awaited;
  }

  /** What came until now is on its way. */
  pushed(): void {
    this.#other = false;
  }

  /** The items that are whole with this chunk; they may lie in it, so take them before it is used again. */
  push(chunk: Uint8Array): Item[] {
    this.#chunk = chunk.buffer;
    this.#parser.push(chunk);
    return this.#take();
  }

  /** What waits, for a stream that pauses. */
  flush(): Item[] {
    this.#parser.flush();
    return this.#take();
  }

  /** What waits, and that the hypervisor sends no more. */
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

  /** Within a round addresses of a block only rise. */
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

  /** Bytes that outlive the call: the caller's chunk does, a buffer of the parser's does not. */
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
