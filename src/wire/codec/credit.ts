/**
 * A bound on what is under way: `take` waits while more than `most` is out, `give` lets the next go on in
 * the order of their coming. A failure ends all waiting.
 */
export class Credit {
  readonly #most: number;
  #out = 0;
  #waiting: { readonly go: () => void; readonly stop: (error: unknown) => void }[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor(most: number) {
    this.#most = most;
  }

  /** One that is larger than the whole bound goes when nothing else is out. */
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

  /** Resolves when nothing is out. */
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
