/**
 * One look per name at a time, because a hypervisor serves one client. Readers share a running look; callers that act
 * on the result get a later one.
 */
export class SingleFlight<T> {
  readonly #look: (name: string) => Promise<T>;
  readonly #under = new Map<string, Promise<T>>();

  constructor(look: (name: string) => Promise<T>) {
    this.#look = look;
  }

  read(name: string): Promise<T> {
    const other = this.#under.get(name);
    if (other !== undefined) return other;
    const own = this.#look(name).finally(() => this.#under.delete(name));
    this.#under.set(name, own);
    return own;
  }

  async fresh(name: string): Promise<T> {
    for (let other = this.#under.get(name); other !== undefined; other = this.#under.get(name)) {
      await other.catch(() => undefined);
    }
    return this.read(name);
  }
}
