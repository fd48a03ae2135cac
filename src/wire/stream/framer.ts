import { MAX_HELD_BYTES } from './format.ts';
import type { ChannelParser, RamRecord, SpanKind, StreamNote, StreamSink } from './types.ts';

const FIRST_HELD_BYTES = 8192;

/**
 * The part that all channels share: cuts what comes in pieces of any size into items. `step` sees a window of bytes
 * and takes an item off its front, or says how many bytes it needs for that; only then are bytes kept, and joined
 * with as few of the next chunk as are needed. What is long and of known length is passed through as it comes.
 */
export abstract class Framer implements ChannelParser {
  readonly #sink: StreamSink;
  #held = new Uint8Array(0);
  #heldBytes = 0;
  /** How many of the held bytes the sink has had as `torn`. */
  #flushedBytes = 0;
  /** Bytes, from the start of what is held, that the next item needs. */
  #needed = 1;
  #position = 0;
  #passKind: SpanKind = 'unknown';
  #passBytes = 0;
  /** No more input comes: what there is decides. */
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
      // What is left lies whole in this chunk: on with the chunk itself, not with a byte of it at a time.
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
   * Takes the item at `at` of `bytes`, of which [at, end) are there: returns how many bytes it took, 0 after a
   * mere change of state, or minus the number that it needs (more than there are).
   */
  protected abstract step(bytes: Uint8Array, at: number, end: number): number;

  /** Called for bytes that are done with, and for those that are passed through. */
  protected advanced(_bytes: number): void {}

  /** The next `count` bytes are of this kind, whatever they hold. */
  protected pass(kind: SpanKind, count: number): void {
    this.#passKind = kind;
    this.#passBytes = count;
  }

  /** Bytes of the stream before those that this step looks at. */
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

  /** Steps until the window is used up or an item needs more; returns how many bytes were used. */
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

/** Where an item lies: with its header from `itemStart`, its content from `start`, until `end`. */
export interface RecordBounds {
  readonly itemStart: number;
  readonly start: number;
  readonly end: number;
}
