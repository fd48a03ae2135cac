import { BadFrame } from './bytes.ts';
import { Compressor } from './compression.ts';
import type { Batch } from './batch.ts';
import { Encoder, type EncoderDependencies } from './encoder.ts';
import {
  contentFrame,
  FrameReader,
  missingOf,
  writeFrame,
  writePieces,
  type Frame,
} from './frame.ts';
import type { Item } from './item.ts';
import { LevelControl } from './level.ts';
import type { CodecSettings } from './settings.ts';

export interface EncodePipeDependencies extends EncoderDependencies {
  readonly settings: CodecSettings;
  /** Receives a frame; resolves when the next may follow, which holds back the whole pipe. */
  readonly send: (frame: Buffer) => Promise<void>;
  readonly nowMs: () => number;
  readonly cores: number;
  /** Assumed rate of the link until it is measured. */
  readonly saidBytesPerS?: number | undefined;
}

/** Batches in compression or waiting to be sent; enough to keep the threads of a busy host working. */
const MAX_AHEAD = 8;

/** Converts items to frames: encoder, compression in Node's threads, frames in item order. */
export class EncodePipe {
  readonly encoder: Encoder;
  readonly level: LevelControl;
  readonly #deps: EncodePipeDependencies;
  readonly #compressor: Compressor;
  readonly #control: FrameReader;
  #last: Promise<void> = Promise.resolve();
  #ahead = 0;
  #number = 0;
  #misses = 0;
  /** Callers that wait for room: added items, and requested contents. */
  #forRoom: (() => void)[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor(deps: EncodePipeDependencies) {
    this.#deps = deps;
    this.encoder = new Encoder(deps.settings, deps);
    this.#compressor = new Compressor(deps.cores);
    this.level = new LevelControl(deps.cores, deps.saidBytesPerS);
    this.#control = new FrameReader(deps.settings);
  }

  get misses(): number {
    return this.#misses;
  }

  /** Accepts items; their bytes may change once this resolves. Wait for it before the next call. */
  async add(items: Iterable<Item>): Promise<void> {
    for (const item of items) {
      for (const batch of this.encoder.add(item)) await this.#ship(batch);
    }
  }

  /** Sends all added items, even in a partial batch; resolves when the next may be added. */
  async push(): Promise<void> {
    for (const batch of this.encoder.flush()) await this.#ship(batch);
  }

  /** Like push; resolves when it was taken. */
  async flush(): Promise<void> {
    await this.push();
    await this.#last;
    this.#check();
  }

  /**
   * Answer bytes of the far side's pipe. Wait for it before the next call, so that a far side with many requests
   * is held back.
   */
  async answer(bytes: Uint8Array): Promise<void> {
    for (const frame of this.#control.read(bytes)) {
      if (frame.type === 'decoded') this.#decoded(frame);
      else if (frame.type === 'missing') await this.#sendContents(frame);
      else throw new BadFrame('an encoder sent no such frame to this side', frame.number);
    }
  }

  #decoded(frame: Frame): void {
    try {
      this.encoder.acknowledge(Number(frame.extra));
    } catch {
      throw new BadFrame(`it acknowledges ${frame.extra}, which was not sent`, frame.number);
    }
  }

  async #sendContents(frame: Frame): Promise<void> {
    this.#misses += frame.items;
    this.#deps.contents?.missed(frame.items);
    const numbers = missingOf(frame);
    // Requested before the first await: the window moves on meanwhile but keeps requested contents.
    for (const number of numbers) {
      if (!this.encoder.request(number)) throw notToBeHad(number, frame);
    }
    for (const number of numbers) {
      await this.#inTurn(() => {
        const page = this.encoder.content(number);
        if (page === undefined) throw notToBeHad(number, frame);
        return Promise.resolve(writeFrame(contentFrame(this.#number, number, page)));
      });
    }
  }

  async #ship(batch: Batch): Promise<void> {
    const choice = this.level.next(this.#deps.nowMs());
    this.encoder.sparing = this.level.thin;
    const { records, data, items, hash } = batch;
    const plainBytes = records.length + data.length;
    const compressing = this.#compressor.compress([records, data], choice);
    compressing.catch(() => undefined);
    await this.#inTurn(async () => {
      const { method, pieces, bytes, tookMs } = await compressing;
      this.level.compressed(choice, plainBytes, bytes, tookMs);
      const head = { method, plainBytes, items, number: this.#number, extra: hash };
      const frame = writePieces({ type: 'batch', ...head }, pieces);
      this.encoder.recycle(batch);
      return frame;
    });
  }

  /** Sends a frame made in its turn; resolves when the pipe has room again. */
  async #inTurn(make: () => Promise<Buffer>): Promise<void> {
    this.#check();
    this.#ahead += 1;
    this.#last = this.#last.then(async () => {
      try {
        if (this.#failure === undefined) {
          const frame = await make();
          this.#number += 1;
          await this.#deps.send(frame);
        }
      } catch (error) {
        this.#failure ??= { error };
      }
      this.#ahead -= 1;
      const waiting = this.#forRoom;
      this.#forRoom = [];
      for (const go of waiting) go();
    });
    while (this.#ahead >= MAX_AHEAD) {
      await new Promise<void>((resolve) => this.#forRoom.push(resolve));
    }
    this.#check();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

function notToBeHad(content: number, frame: Frame): BadFrame {
  return new BadFrame(`content ${content} is not to be had`, frame.number);
}
