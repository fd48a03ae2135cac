/** The last values, in order of their size, so that any quantile is at hand. */
export class SortedWindow {
  readonly #most: number;
  readonly #sorted: number[] = [];
  readonly #byAge: number[] = [];
  #sum = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get mean(): number {
    return this.#byAge.length === 0 ? 0 : this.#sum / this.#byAge.length;
  }

  add(value: number): void {
    this.#byAge.push(value);
    this.#sum += value;
    this.#sorted.splice(this.#placeOf(value), 0, value);
    if (this.#byAge.length <= this.#most) return;
    const old = this.#byAge.shift() ?? 0;
    this.#sum -= old;
    this.#sorted.splice(this.#placeOf(old), 1);
  }

  /** Linear between values; the least and the greatest at the ends; 0 where there is none. */
  quantile(part: number): number {
    const place = Math.min(1, Math.max(0, part)) * (this.#sorted.length - 1);
    const low = this.#sorted[Math.floor(place)] ?? 0;
    const high = this.#sorted[Math.ceil(place)] ?? low;
    return low + (high - low) * (place - Math.floor(place));
  }

  /** The number of values that are less. */
  #placeOf(value: number): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sorted[middle] ?? 0) < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
