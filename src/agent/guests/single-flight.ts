/**
 * Looks at things by their names, one at a time at each. Many may ask for the same at once, and a hypervisor serves one
 * client: those who only read share the look that is under way, and who acts on what is seen gets one that begins later.
 */
export class SingleFlight<T> {
  readonly #look: (name: string) => Promise<T>;
  readonly #under = new Map<string, Promise<T>>();

  constructor(look: (name: string) => Promise<T>) {
    this.#look = look;
  }

  /** For whoever only reads. */
  read(name: string): Promise<T> {
    const other = this.#under.get(name);
    if (other !== undefined) return other;
    const own = this.#look(name).finally(() => this.#under.delete(name));
    this.#under.set(name, own);
    return own;
  }

  /** For whoever acts: none that began before. */
  async fresh(name: string): Promise<T> {
    for (let other = this.#under.get(name); other !== undefined; other = this.#under.get(name)) {
      await other.catch(() => undefined);
    }
    return this.read(name);
  }
}
