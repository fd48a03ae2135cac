import { MAX_HELD_BYTES } from './format.ts';
import type { ChannelParser, RamRecord, SpanKind, StreamNote, StreamSink } from './types.ts';

const FIRST_HELD_BYTES = 8192;

/**
 * Base of all channel parsers: splits input of any chunking into items. `step` takes an item off the front of a
 * window, or returns the number of bytes that it needs. Only then are bytes buffered and joined with the needed
 * part of the next chunk. Long data of known length passes through unbuffered.
 */
export abstract class Framer implements ChannelParser {
  readonly #sink: StreamSink;
  #held = new Uint8Array(0);
  #heldBytes = 0;
  /** Buffered bytes that the sink has received as `torn`. */
  #flushedBytes = 0;
  /** Bytes that the next item needs, from the start of the buffer. */
  #needed = 1;
  #position = 0;
  #passKind: SpanKind = 'unknown';
  #passBytes = 0;
  /** No more input follows: the present bytes decide. */
  protected ended = false;

  constructor(sink: StreamSink) {
    this.#sink = sink;
  }

  get heldBytes(): number {
    return this.#heldBytes - this.#flushedBytes;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (this.#heldBytes > 0 && at < chunk.length) {
      const missing = Math.min(this.#needed - this.#heldBytes, chunk.length - at);
      this.#hold(chunk, at, at + missing);
      at += missing;
      if (this.#heldBytes < this.#needed) return;
      const used = this.#run(this.#held, this.#heldBytes);
      this.#drop(used);
      // The rest is completely in this chunk: continue with the chunk, not byte by byte.
      if (this.#heldBytes <= at) {
        at -= this.#heldBytes;
        this.#heldBytes = 0;
      }
    }
    if (at === chunk.length) return;
    const rest = at === 0 ? chunk : chunk.subarray(at);
    const used = this.#run(rest, rest.length);
    this.#hold(rest, used, rest.length);
  }

  flush(): void {
    if (this.#heldBytes === this.#flushedBytes) return;
    const start = this.#flushedBytes;
    this.#flushedBytes = this.#heldBytes;
    this.#sink.span('torn', this.#held, start, this.#heldBytes);
  }

  end(): void {
    this.ended = true;
    const used = this.#run(this.#held, this.#heldBytes);
    this.#drop(used);
    this.flush();
  }

  /**
   * Takes the item at `at` from [at, end) of `bytes`. Returns its length, 0 after only a change of state, or
   * minus the number of bytes that it needs (more than available).
   */
  protected abstract step(bytes: Uint8Array, at: number, end: number): number;

  /** Called for processed bytes and for those passed through. */
  protected advanced(_bytes: number): void {}

  /** The next `count` bytes are of this kind, whatever their content. */
  protected pass(kind: SpanKind, count: number): void {
    this.#passKind = kind;
    this.#passBytes = count;
  }

  /** Stream position of this step's bytes. */
  protected get position(): number {
    return this.#position;
  }

  protected span(kind: SpanKind, bytes: Uint8Array, start: number, end: number): void {
    if (end === start) return;
    if (this.#isWhole(bytes, start)) this.#sink.span(kind, bytes, start, end);
    else this.#torn(bytes, end);
  }

  protected page(record: RamRecord, bytes: Uint8Array, from: RecordBounds): void {
    const { itemStart, start, end } = from;
    if (this.#isWhole(bytes, itemStart)) this.#sink.page(record, bytes, start, end);
    else this.#torn(bytes, end);
  }

  protected zero(record: RamRecord, bytes: Uint8Array, from: RecordBounds): void {
    if (this.#isWhole(bytes, from.itemStart)) this.#sink.zero(record);
    else this.#torn(bytes, from.end);
  }

  protected xbzrle(record: RamRecord, bytes: Uint8Array, from: RecordBounds): void {
    const { itemStart, start, end } = from;
    if (this.#isWhole(bytes, itemStart)) this.#sink.xbzrle(record, bytes, start, end);
    else this.#torn(bytes, end);
  }

  protected note(note: StreamNote): void {
    this.#sink.note(note);
  }

  #isWhole(bytes: Uint8Array, start: number): boolean {
    return start >= this.#flushedBytes || bytes !== this.#held;
  }

  #torn(bytes: Uint8Array, end: number): void {
    if (end > this.#flushedBytes) this.#sink.span('torn', bytes, this.#flushedBytes, end);
  }

  /** Steps until the window is used or an item needs more; returns the bytes used. */
  #run(bytes: Uint8Array, end: number): number {
    let at = 0;
    while (at < end) {
      let used: number;
      if (this.#passBytes > 0) {
        used = Math.min(this.#passBytes, end - at);
        this.#passBytes -= used;
        this.span(this.#passKind, bytes, at, at + used);
      } else {
        used = this.step(bytes, at, end);
        if (used < 0) {
          this.#needed = -used;
          break;
        }
      }
      at += used;
      this.#position += used;
      this.advanced(used);
    }
    return at;
  }

  #drop(used: number): void {
    this.#held.copyWithin(0, used, this.#heldBytes);
    this.#heldBytes -= used;
    this.#flushedBytes = Math.max(0, this.#flushedBytes - used);
  }

  #hold(bytes: Uint8Array, start: number, end: number): void {
    const total = this.#heldBytes + end - start;
    if (total > this.#held.length) {
      const size = total > FIRST_HELD_BYTES ? MAX_HELD_BYTES : FIRST_HELD_BYTES;
      const larger = new Uint8Array(size);
      larger.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = larger;
    }
    this.#held.set(bytes.subarray(start, end), this.#heldBytes);
    this.#heldBytes = total;
  }
}

/** Bounds of an item: header from `itemStart`, content from `start` to `end`. */
export interface RecordBounds {
  readonly itemStart: number;
  readonly start: number;
  readonly end: number;
}
