import type { Place } from './fleet.ts';
import { SortedList } from './sorted-list.ts';

/**
 * Places accepted by `may`, lowest figure first, ties in inventory order. Call `changed` for each place that gains or
 * loses a guest; figures must not change otherwise.
 */
export class PlaceOrder {
  readonly #figureOf: (place: Place) => number;
  readonly #may: (place: Place) => boolean;
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

  from(least: number): Iterable<Place> {
    return this.#list.from((place) => this.figure(place) < least);
  }
}
