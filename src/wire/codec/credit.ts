/**
 * Limits the amount in flight: `take` waits while more than `most` is out, and `give` releases waiting calls in
 * order. A failure ends all waits.
 */
export class Credit {
  readonly #most: number;
  #out = 0;
  #waiting: { readonly go: () => void; readonly stop: (error: unknown) => void }[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor(most: number) {
    this.#most = most;
  }

  /** An amount above the limit waits until nothing else is out. */
  async take(amount: number): Promise<void> {
    while (this.#failure === undefined && this.#out > 0 && this.#out + amount > this.#most) {
      await new Promise<void>((go, stop) => this.#waiting.push({ go, stop }));
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#out += amount;
  }

  give(amount: number): void {
    this.#out -= amount;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { go } of waiting) go();
  }

  /** Resolves once nothing is out. */
  async settled(): Promise<void> {
    while (this.#failure === undefined && this.#out > 0) {
      await new Promise<void>((go, stop) => this.#waiting.push({ go, stop }));
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { stop } of waiting) stop(this.#failure.error);
  }
}
