import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { Credit } from './credit.ts';
import type { Item } from './item.ts';
import { Packer, unpack, type Pack } from './pack.ts';
import { MAX_BETWEEN_BYTES } from './thread-messages.ts';
import type * as messages from './thread-messages.ts';

/**
 * A codec's thread makes a little garbage per page. With a mover's small nursery (SMALL_FLAGS) it would be
 * collected every few hundred pages. V8 reads these flags at a thread's start; the mover's own nursery is
 * unchanged.
 */
const NURSERY = ['--min-semi-space-size=4', '--max-semi-space-size=4'];

/** A worker thread and the reason of its end: its error, an early exit, or the signal's reason. */
class Life {
  readonly worker: Worker;
  readonly #ends: ((error: unknown) => void)[] = [];
  #closing = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(file: URL, workerData: unknown, signal: AbortSignal) {
    signal.throwIfAborted();
    for (const flag of NURSERY) setFlagsFromString(flag);
    this.worker = new Worker(file, { workerData });
    const stop = (): void => {
      this.#end(signal.reason);
      void this.worker.terminate();
    };
    signal.addEventListener('abort', stop, { once: true });
    this.worker.on('error', (error) => this.#end(error));
    this.worker.on('exit', (code) => {
      signal.removeEventListener('abort', stop);
      if (!this.#closing) this.#end(new Error(`the codec's thread ended with code ${code}`));
    });
  }

  onEnd(end: (error: unknown) => void): void {
    this.#ends.push(end);
  }

  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Ends it in order: sends `close` and waits for the thread's exit. */
  async close(): Promise<void> {
    if (this.#failure !== undefined) return;
    const exit = once(this.worker, 'exit');
    this.worker.postMessage({ type: 'close' });
    this.worker.on('message', ({ type }: { type: string }) => {
      if (type === 'closed') this.#closing = true;
    });
    await exit;
    this.check();
  }

  fail(error: unknown): void {
    this.#end(error);
    void this.worker.terminate();
  }

  #end(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    for (const end of this.#ends) end(error);
  }
}

export interface EncodeThreadDependencies {
  readonly start: messages.EncodeStart;
  /** Receives a frame; the thread makes at most MAX_BETWEEN_BYTES ahead of it. */
  readonly send: (frame: Uint8Array) => Promise<void>;
  readonly signal: AbortSignal;
}

/** EncodePipe in a separate thread. One caller at a time; every call rejects once the thread is gone. */
export class EncodeThread {
  readonly #life: Life;
  readonly #deps: EncodeThreadDependencies;
  readonly #credit = new Credit(MAX_BETWEEN_BYTES);
  readonly #packer = new Packer();
  readonly #flushes = new Map<number, () => void>();
  /** Answers that the thread has not taken, in order. */
  readonly #answers: (() => void)[] = [];
  #last: Promise<void> = Promise.resolve();
  #flushId = 0;
  #isOver = false;
  #tally: messages.EncodeTally | undefined;

  constructor(deps: EncodeThreadDependencies) {
    this.#deps = deps;
    const file = new URL('./encode-worker.ts', import.meta.url);
    this.#life = new Life(file, deps.start, deps.signal);
    this.#life.onEnd((error) => this.#credit.fail(error));
    this.#life.onEnd(() => this.#flushes.forEach((done) => done()));
    this.#life.onEnd(() => this.#dropAnswers());
    this.#life.worker.on('message', (message: messages.FromEncoder) => this.#take(message));
  }

  /** Copies the items; waits while too much is in flight. */
  async add(items: Iterable<Item>): Promise<void> {
    for (const item of items) {
      for (const pack of this.#packer.add(item)) await this.#hand(pack);
    }
  }

  /** Resolves once everything added was encoded and sent. */
  async flush(): Promise<void> {
    if (!this.#packer.empty) await this.#hand(this.#packer.take());
    this.#life.check();
    this.#flushId += 1;
    const id = this.#flushId;
    await new Promise<void>((done) => {
      this.#flushes.set(id, done);
      this.#post({ type: 'flush', id });
    });
    this.#flushes.delete(id);
    await this.#last;
    this.#life.check();
  }

  /** Starts a flush, but resolves once the next items may be added. */
  async push(): Promise<void> {
    if (!this.#packer.empty) await this.#hand(this.#packer.take());
    this.#life.check();
    this.#post({ type: 'push' });
  }

  /** Called with the reason if the thread ends without `close`. */
  onEnd(end: (error: unknown) => void): void {
    this.#life.onEnd(end);
  }

  linkCarries(bytesPerS: number): void {
    this.#post({ type: 'link', bytesPerS });
  }

  /**
   * Accepts the far side's answer. Resolves once the thread has processed it, so that a far side with many
   * requests is held back, or once the thread is gone, which `onEnd` reports.
   */
  async answer(bytes: Uint8Array): Promise<void> {
    if (this.#isOver) return;
    await new Promise<void>((taken) => {
      this.#answers.push(taken);
      this.#post({ type: 'answer', bytes });
    });
  }

  async close(): Promise<messages.EncodeTally | undefined> {
    await this.#life.close();
    return this.#tally;
  }

  #dropAnswers(): void {
    this.#isOver = true;
    for (const taken of this.#answers.splice(0)) taken();
  }

  async #hand(pack: Pack): Promise<void> {
    await this.#credit.take(pack.memory.byteLength);
    this.#post({ type: 'items', pack });
  }

  #post(message: messages.ToEncoder): void {
    this.#life.worker.postMessage(message);
  }

  #take(message: messages.FromEncoder): void {
    switch (message.type) {
      case 'taken':
        this.#packer.recycle(message.memory);
        return this.#credit.give(message.memory.byteLength);
      case 'flushed':
        return this.#flushes.get(message.id)?.();
      case 'answered':
        return this.#answers.shift()?.();
      case 'closed':
        this.#tally = message.tally;
        return this.#dropAnswers();
      case 'frame':
        this.#last = this.#last.then(() => this.#send(message.bytes));
    }
  }

  async #send(frame: Uint8Array): Promise<void> {
    try {
      this.#life.check();
      await this.#deps.send(frame);
      this.#post({ type: 'sent', bytes: frame.length });
    } catch (error) {
      this.#life.fail(error);
    }
  }
}

export interface DecodeThreadDependencies {
  readonly start: messages.DecodeStart;
  /** Receives items in order, valid until it resolves; the next follow after that. */
  readonly give: (items: Iterable<Item>) => Promise<void>;
  /** Receives bytes for the far side's encoder. */
  readonly answer: (bytes: Uint8Array) => Promise<void>;
  readonly signal: AbortSignal;
}

export class DecodeThread {
  /** Summary of this side's cache for the far side's encoder. */
  readonly summary: Promise<Uint8Array>;
  readonly #life: Life;
  readonly #deps: DecodeThreadDependencies;
  readonly #credit = new Credit(MAX_BETWEEN_BYTES);
  #last: Promise<void> = Promise.resolve();
  #ready: (summary: Uint8Array) => void = () => undefined;

  constructor(deps: DecodeThreadDependencies) {
    this.#deps = deps;
    const file = new URL('./decode-worker.ts', import.meta.url);
    this.#life = new Life(file, deps.start, deps.signal);
    this.summary = new Promise((resolve, reject) => {
      this.#ready = resolve;
      this.#life.onEnd(reject);
    });
    this.summary.catch(() => undefined);
    this.#life.onEnd((error) => this.#credit.fail(error));
    this.#life.worker.on('message', (message: messages.FromDecoder) => this.#take(message));
  }

  /** Called with the reason if the thread ends without `close`. */
  onEnd(end: (error: unknown) => void): void {
    this.#life.onEnd(end);
  }

  /** Copies the bytes; waits while too much is in flight. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += MAX_BETWEEN_BYTES) {
      const piece = Uint8Array.from(bytes.subarray(at, at + MAX_BETWEEN_BYTES));
      await this.#credit.take(piece.length);
      this.#life.check();
      this.#life.worker.postMessage({ type: 'bytes', bytes: piece }, [piece.buffer]);
    }
  }

  /** Resolves once everything written was given and the thread has ended. */
  async close(): Promise<void> {
    await this.#life.close();
    await this.#last;
    this.#life.check();
  }

  #take(message: messages.FromDecoder): void {
    switch (message.type) {
      case 'ready':
        return this.#ready(message.summary);
      case 'taken':
        return this.#credit.give(message.bytes);
      case 'items':
        this.#last = this.#last.then(() => this.#give(message.pack));
        return;
      case 'answer':
        this.#last = this.#last.then(() => this.#work(() => this.#deps.answer(message.bytes)));
        return;
      case 'closed':
    }
  }

  async #give(pack: Pack): Promise<void> {
    await this.#work(() => this.#deps.give(unpack(pack)));
    const given: messages.ToDecoder = { type: 'given', memory: pack.memory };
    this.#life.worker.postMessage(given);
  }

  async #work(work: () => Promise<void>): Promise<void> {
    try {
      this.#life.check();
      await work();
    } catch (error) {
      this.#life.fail(error);
    }
  }
}
