import { isEnd, type Progress } from '../../protocol/public/migration.ts';

/** Maximum delay of unimportant updates, ms. */
const LATER_MS = 200;

/** Newest progress and its followers. A slow follower misses lines in between, never the last. */
export class Live {
  #latest: Progress;
  #version = 0;
  #later: NodeJS.Timeout | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(first: Progress) {
    this.#latest = first;
  }

  get latest(): Progress {
    return this.#latest;
  }

  publish(progress: Progress): void {
    clearTimeout(this.#later);
    this.#later = undefined;
    this.#latest = progress;
    this.#version += 1;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /**
   * Publishes the result of `read` a little later, unless something is published before: a paused guest needs the
   * processors.
   */
  publishLater(read: () => Progress): void {
    this.#later ??= setTimeout(() => this.publish(read()), LATER_MS).unref();
  }

  /** The current line and every change; ends after the migration's last line. */
  async *follow(signal: AbortSignal): AsyncGenerator<Progress> {
    let seen = -1;
    while (!signal.aborted) {
      if (seen !== this.#version) {
        seen = this.#version;
        const line = this.#latest;
        yield line;
        if (isEnd(line.phase)) return;
        continue;
      }
      await this.#change(signal);
    }
  }

  async #change(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}
