import { BadFrame } from './bytes.ts';
import { Decompressor } from './compression.ts';
import { Decoder, fill, type DecoderDependencies, type Pending } from './decoder.ts';
import { decodedFrame, FrameReader, missingFrame, writeFrame, type Frame } from './frame.ts';
import type { Item } from './item.ts';
import type { CodecSettings } from './settings.ts';

export interface DecodePipeDependencies extends DecoderDependencies {
  readonly settings: CodecSettings;
  /** Receives an item whose bytes are valid during the call; a promise holds back the whole pipe. */
  readonly give: (item: Item) => Promise<void> | undefined;
  /** The given batch has the correct hash. */
  readonly compared?: () => Promise<void> | undefined;
  /** Receives bytes for the far side's EncodePipe.answer. */
  readonly answer: (frame: Buffer) => Promise<void>;
  /**
   * Limit of held bytes while a missing content is awaited, with FRAME_COST_BYTES per frame. A peer that sends
   * more is disconnected.
   */
  readonly mostHeldBytes: number;
}

interface Waiting {
  readonly frame: Frame;
  body: Promise<Buffer> | undefined;
}

/** Decoded contents are reported after this share of the window, because each report is work for both sides. */
const REPORT_SHARE = 1 / 16;
/** Cost of a held frame besides its payload, which limits the number of small frames. */
const FRAME_COST_BYTES = 256;
const MAX_AHEAD = 4;

/** Converts frames to items. Requests a missing content and holds the frames behind it. */
export class DecodePipe {
  readonly #deps: DecodePipeDependencies;
  readonly #decoder: Decoder;
  readonly #decompressor = new Decompressor();
  readonly #reader: FrameReader;
  #waiting: Waiting[] = [];
  #heldBytes = 0;
  #running: Promise<void> | undefined;
  #pending: Pending | undefined;
  #filled: (() => void) | undefined;
  #stall: (() => void) | undefined;
  #number = 0;
  #reportedNumber = 1;
  #failure: { readonly error: unknown } | undefined;

  constructor(deps: DecodePipeDependencies) {
    this.#deps = deps;
    this.#decoder = new Decoder(deps.settings, deps);
    this.#reader = new FrameReader(deps.settings);
  }

  /**
   * Accepts bytes of the stream. Resolves once all complete frames were given, or wait for a missing content.
   * Rejects with BadFrame, or with an error of `give` or `answer`; the stream is then over.
   */
  async write(bytes: Uint8Array): Promise<void> {
    this.#check();
    for (const frame of this.#reader.read(bytes)) {
      if (frame.type === 'content') this.#fill(frame);
      else if (frame.type === 'batch') this.#hold(frame);
      else throw new BadFrame('a decoder sent no such frame to this side', frame.number);
    }
    // Never runs without work: it would end before its promise is stored here.
    if (this.#waiting.length > 0) this.#running ??= this.#run();
    await Promise.race([this.#running, this.#stalled()]);
    this.#check();
  }

  /** Resolves once everything written was given; rejects if a content is missing. */
  async end(): Promise<void> {
    await this.#running;
    this.#check();
  }

  close(): void {
    this.#failure ??= { error: new Error('the stream was closed') };
    this.#filled?.();
    this.#wakeWriter();
  }

  /** Resolves once the pipe waits for a content, whose bytes must still be read. */
  #stalled(): Promise<void> {
    if (this.#pending !== undefined) return Promise.resolve();
    return new Promise((resolve) => (this.#stall = resolve));
  }

  #wakeWriter(): void {
    this.#stall?.();
    this.#stall = undefined;
  }

  #hold(frame: Frame): void {
    this.#heldBytes += heldCost(frame);
    if (this.#heldBytes > this.#deps.mostHeldBytes) {
      throw this.#fail(new BadFrame('more is sent than may be in flight', frame.number));
    }
    this.#waiting.push({ frame, body: undefined });
  }

  #fill(frame: Frame): void {
    const number = Number(frame.extra);
    if (this.#pending === undefined || !fill(this.#pending, number, frame.payload)) {
      throw this.#fail(new BadFrame(`content ${number} was not asked for`, frame.number));
    }
    if (this.#pending.missing.size > 0) return;
    this.#pending = undefined;
    this.#filled?.();
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        const first = this.#waiting[0];
        if (first === undefined || this.#failure !== undefined) break;
        for (const next of this.#waiting.slice(0, MAX_AHEAD)) this.#decompress(next);
        await this.#give(first);
        this.#waiting.shift();
        this.#heldBytes -= heldCost(first.frame);
      }
    } finally {
      this.#running = undefined;
    }
  }

  #decompress(waiting: Waiting): void {
    const { method, payload, plainBytes } = waiting.frame;
    waiting.body ??= this.#decompressor.decompress(method, payload, plainBytes);
    waiting.body.catch(() => undefined);
  }

  async #give({ frame, body }: Waiting): Promise<void> {
    try {
      const head = { items: frame.items, hash: frame.extra };
      const plain = (await body) ?? frame.payload;
      const pending = this.#decoder.open(plain, head);
      if (pending.missing.size > 0) await this.#ask(pending);
      if (this.#failure !== undefined) return;
      const items = this.#decoder.items(pending);
      let next = items.next();
      while (!next.done) {
        const wait = this.#deps.give(next.value);
        if (wait !== undefined) await wait;
        next = items.next();
      }
      const wait = this.#deps.compared?.();
      if (wait !== undefined) await wait;
      this.#decompressor.recycle(plain);
      await this.#reportDecoded(next.value);
    } catch (error) {
      this.#fail(BadFrame.in(frame.number, error));
    }
  }

  async #reportDecoded(lastNumber: number): Promise<void> {
    const { windowPages } = this.#deps.settings;
    if (lastNumber - this.#reportedNumber < windowPages * REPORT_SHARE) return;
    this.#reportedNumber = lastNumber;
    await this.#answer((number) => decodedFrame(number, lastNumber));
  }

  async #ask(pending: Pending): Promise<void> {
    const filled = new Promise<void>((resolve) => (this.#filled = resolve));
    const numbers = [...pending.missing];
    this.#pending = pending;
    this.#wakeWriter();
    await this.#answer((number) => missingFrame(number, numbers));
    await filled;
  }

  async #answer(make: (number: number) => Frame): Promise<void> {
    const frame = make(this.#number);
    this.#number += 1;
    await this.#deps.answer(writeFrame(frame));
  }

  #fail(error: unknown): unknown {
    this.#failure ??= { error };
    this.#filled?.();
    this.#wakeWriter();
    return error;
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

function heldCost({ payload }: Frame): number {
  return payload.length + FRAME_COST_BYTES;
}
