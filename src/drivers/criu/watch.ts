import type { HypervisorEvent, HypervisorStatus } from '../../port/direct.ts';

type Stream = HypervisorStatus['stream'];

/** Reported events of one side in the port's terms, kept for later listeners. */
export class EventReplay {
  readonly #listeners = new Set<(event: HypervisorEvent) => void>();
  #run: HypervisorEvent | undefined;
  #last: HypervisorEvent | undefined;
  stream: Stream = 'none';
  reason: string | undefined;

  on(listener: (event: HypervisorEvent) => void): () => void {
    this.#listeners.add(listener);
    for (const event of [this.#run, this.#last]) if (event !== undefined) listener(event);
    return () => this.#listeners.delete(listener);
  }

  ran(type: 'stopped' | 'resumed'): void {
    if (this.#run?.type === type) return;
    const event: HypervisorEvent = { type };
    this.#run = event;
    this.#emit(event);
  }

  pass(round: number): void {
    this.#emit({ type: 'pass', round });
  }

  to(stream: Exclude<Stream, 'none'>, reason?: string): void {
    this.stream = stream;
    this.reason = reason;
    const isBroken = stream === 'failed' || stream === 'postcopy-paused';
    const event: HypervisorEvent = isBroken
      ? { type: stream, reason: reason ?? '' }
      : { type: stream };
    this.#last = event;
    this.#emit(event);
  }

  lost(reason: string): void {
    if (this.#last?.type === 'lost') return;
    const event: HypervisorEvent = { type: 'lost', reason };
    this.#last = event;
    this.#emit(event);
  }

  #emit(event: HypervisorEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
