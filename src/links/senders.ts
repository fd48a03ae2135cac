import { Fifo } from './fifo.ts';
import type { Outbox } from './outbox.ts';

interface Sender {
  readonly message: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Those whose messages have no room yet, in the order of their coming within each channel. */
export class Senders {
  readonly #outbox: Outbox;
  readonly #waiting = new Map<number, Fifo<Sender>>();

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  get isEmpty(): boolean {
    return [...this.#waiting.values()].every(({ length }) => length === 0);
  }

  /** True where the message was let in at once. */
  enters(channel: number, message: Uint8Array): boolean {
    if ((this.#waiting.get(channel)?.length ?? 0) > 0) return false;
    if (!this.#outbox.hasRoom(channel)) return false;
    this.#outbox.add(channel, message);
    return true;
  }

  /** Resolves when the message was let in. */
  async wait(channel: number, message: Uint8Array): Promise<void> {
    const waiting = this.#waiting.get(channel) ?? new Fifo();
    this.#waiting.set(channel, waiting);
    await new Promise<void>((resolve, reject) => waiting.push({ message, resolve, reject }));
  }

  admit(): void {
    for (const [channel, waiting] of this.#waiting) {
      for (let first = waiting.peek(); first !== undefined; first = waiting.peek()) {
        if (!this.#outbox.hasRoom(channel)) break;
        waiting.shift();
        this.#outbox.add(channel, first.message);
        first.resolve();
      }
    }
  }

  fail(error: Error): void {
    for (const waiting of this.#waiting.values()) {
      for (const { reject } of waiting) reject(error);
    }
    this.#waiting.clear();
  }
}
