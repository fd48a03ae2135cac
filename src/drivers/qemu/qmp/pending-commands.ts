import { godwitError } from '../../../errors.ts';

export type Answer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly reason: string; readonly errorClass: string };

interface Pending {
  readonly command: string;
  readonly signal: AbortSignal | undefined;
  readonly dueMs: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
  /** The caller has given up, but the answer may still arrive. */
  isLeft: boolean;
}

interface Listener {
  readonly onAbort: () => void;
  waiting: number;
}

/**
 * Commands without an answer. All have the same time limit, so the oldest expires first: one timer serves all,
 * and one listener serves all commands of a signal.
 */
export class PendingCommands {
  readonly #commandMs: number;
  readonly #nowMs: () => number;
  readonly #all = new Map<number, Pending>();
  readonly #listeners = new Map<AbortSignal, Listener>();
  #waiting = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(commandMs: number, nowMs = (): number => performance.now()) {
    this.#commandMs = commandMs;
    this.#nowMs = nowMs;
  }

  get size(): number {
    return this.#all.size;
  }

  /**
   * Resolves to the value that `answer` gets for this id. Rejects with GODWIT_DEADLINE, which names the command,
   * at its time limit, and with the signal's reason if it aborts.
   */
  add(id: number, command: string, signal: AbortSignal | undefined): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const dueMs = this.#nowMs() + this.#commandMs;
    this.#all.set(id, { command, signal, dueMs, resolve, reject, isLeft: false });
    this.#waiting += 1;
    this.#timer ??= setTimeout(() => this.#expire(), this.#commandMs);
    if (signal !== undefined) this.#listen(signal);
    return promise;
  }

  answer(id: number, answer: Answer): void {
    const pending = this.#all.get(id);
    if (pending === undefined) return;
    this.#all.delete(id);
    if (!this.#leave(pending)) return;
    pending.resolve(answer);
  }

  fail(error: Error): void {
    for (const pending of this.#all.values()) if (this.#leave(pending)) pending.reject(error);
    this.#all.clear();
  }

  #leave(pending: Pending): boolean {
    if (pending.isLeft) return false;
    pending.isLeft = true;
    this.#waiting -= 1;
    if (this.#waiting === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    const { signal } = pending;
    const listener = signal === undefined ? undefined : this.#listeners.get(signal);
    if (signal === undefined || listener === undefined) return true;
    listener.waiting -= 1;
    if (listener.waiting > 0) return true;
    signal.removeEventListener('abort', listener.onAbort);
    this.#listeners.delete(signal);
    return true;
  }

  #listen(signal: AbortSignal): void {
    const known = this.#listeners.get(signal);
    if (known !== undefined) {
      known.waiting += 1;
      return;
    }
    const onAbort = (): void => {
      for (const each of this.#all.values())
        if (each.signal === signal && this.#leave(each)) each.reject(signal.reason);
    };
    this.#listeners.set(signal, { onAbort, waiting: 1 });
    signal.addEventListener('abort', onAbort, { once: true });
  }

  #expire(): void {
    this.#timer = undefined;
    const nowMs = this.#nowMs();
    const deadlineMs = this.#commandMs;
    for (const pending of this.#all.values()) {
      if (pending.isLeft) continue;
      if (pending.dueMs > nowMs) {
        this.#timer = setTimeout(() => this.#expire(), pending.dueMs - nowMs);
        return;
      }
      const what = `\`${pending.command}\``;
      this.#leave(pending);
      pending.reject(godwitError('GODWIT_DEADLINE', { what, deadlineMs }));
    }
  }
}
