import { setTimeout as sleep } from 'node:timers/promises';
import type { LinkMeasure, Session } from '../../../src/links/session.ts';

/** Bytes that a session takes before `send` waits. */
const QUEUE_BYTES = 1024 * 1024;

interface Waiting {
  readonly message: Uint8Array;
  readonly taken: () => void;
}

/** What happens to a message on its way; waits for the time that it takes. Channels overtake each other. */
export type Way = (channel: number, message: Uint8Array) => Promise<void>;

/** One end of a session within this process. */
export class MemorySession implements Session {
  onMessage: Session['onMessage'] = () => Promise.reject(new Error('nobody takes messages'));
  readonly ended: Promise<void>;
  measure: LinkMeasure = {
    bytesPerS: 12.5e6,
    roundTripMs: 10,
    connections: 1,
    cutForMs: undefined,
  };
  unacknowledgedBytes = 0;
  /** Bytes by channel. */
  readonly sent = new Map<number, number>();
  far: MemorySession | undefined;
  readonly #way: Way;
  readonly #queues = new Map<number, Waiting[]>();
  #wake: (() => void)[] = [];
  #error: Error | undefined;
  #closed = false;
  readonly #end = Promise.withResolvers<void>();

  constructor(way: Way) {
    this.#way = way;
    this.ended = this.#end.promise;
    this.ended.catch(() => undefined);
  }

  async send(channel: number, message: Uint8Array): Promise<void> {
    // The sender may use its buffer again.
    const copy = Buffer.from(message);
    while (this.unacknowledgedBytes > QUEUE_BYTES && this.#error === undefined) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    this.#check();
    this.unacknowledgedBytes += copy.length;
    this.sent.set(channel, (this.sent.get(channel) ?? 0) + copy.length);
    const queue = this.#queues.get(channel);
    const taken = (): void => {
      this.unacknowledgedBytes -= copy.length;
      this.#wakeAll();
    };
    if (queue !== undefined) queue.push({ message: copy, taken });
    else {
      this.#queues.set(channel, [{ message: copy, taken }]);
      void this.#run(channel);
    }
  }

  async close(deadlineMs: number): Promise<void> {
    const until = performance.now() + deadlineMs;
    while (this.unacknowledgedBytes > 0 && this.#error === undefined) {
      if (performance.now() > until) return this.abort(new Error('not all was taken in time'));
      await sleep(1);
    }
    this.finish();
    this.far?.finish();
  }

  abort(error: Error): void {
    this.fail(error);
    this.far?.fail(error);
  }

  async #run(channel: number): Promise<void> {
    const queue = this.#queues.get(channel) ?? [];
    try {
      for (let next = queue[0]; next !== undefined; next = queue[0]) {
        await this.#way(channel, next.message);
        if (this.#error !== undefined) return;
        await this.far?.onMessage(channel, next.message);
        next.taken();
        queue.shift();
      }
      this.#queues.delete(channel);
    } catch (error) {
      this.abort(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #check(): void {
    if (this.#error !== undefined) throw this.#error;
    if (this.#closed) throw new Error('the session was closed');
  }

  finish(): void {
    this.#closed = true;
    this.#end.resolve();
  }

  fail(error: Error): void {
    if (this.#error !== undefined || this.#closed) return;
    this.#error = error;
    this.#end.reject(error);
    this.#wakeAll();
  }

  #wakeAll(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const go of waiting) go();
  }
}

/** Two ends that are joined. */
export function sessionPair(way: Way = () => Promise.resolve()): [MemorySession, MemorySession] {
  const [near, far] = [new MemorySession(way), new MemorySession(way)];
  near.far = far;
  far.far = near;
  return [near, far];
}
