import type { Place } from './fleet.ts';
import { SortedList } from './sorted-list.ts';

/**
 * The places that `may` lets in, the one with the least figure first, of equal ones the one that the inventory has first.
 * `changed` must hear of each place that takes or loses a guest: what is said of a place changes then, and no time else.
 */
export class PlaceOrder {
  readonly #figureOf: (place: Place) => number;
  readonly #may: (place: Place) => boolean;
  /** By the number of the place. */
  readonly #figures: Float64Array;
  readonly #list: SortedList<Place>;

  constructor(
    places: readonly Place[],
    figureOf: (place: Place) => number,
    may: (place: Place) => boolean,
  ) {
    this.#figureOf = figureOf;
    this.#may = may;
    this.#figures = Float64Array.from(places, figureOf);
    const compare = (left: Place, right: Place): number =>
      this.figure(left) - this.figure(right) || left.number - right.number;
    this.#list = new SortedList(places.filter(may), compare);
  }

  changed(place: Place): void {
    this.#list.remove(place);
    this.#figures[place.number] = this.#figureOf(place);
    if (this.#may(place)) this.#list.add(place);
  }

  figure({ number }: Place): number {
    return this.#figures[number] ?? 0;
  }

  first(): Place | undefined {
    return this.#list.first();
  }

  /** Those whose figure is `least` or more. */
  from(least: number): Iterable<Place> {
    return this.#list.from((place) => this.figure(place) < least);
  }
}
