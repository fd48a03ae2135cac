/** Runs jobs one after another, in order of arrival. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  /** Settles as the job does. */
  run<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#last.then(job);
    this.#last = result.catch(() => {});
    return result;
  }

  /** Resolves when everything asked for so far has ended. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
