import type { Constraint, Refusal } from '../../inventory.ts';

export interface ConstraintRefusal {
  readonly constraint: Constraint;
  readonly looks: number;
  readonly words: string;
}

/** Counts looks, not refusals, because an obstacle repeats at every look. */
export class RefusedCount {
  readonly #all = new Map<Constraint, ConstraintRefusal>();

  look(refusals: readonly Refusal[]): void {
    const first = new Map(refusals.toReversed().map((each) => [each.constraint, each]));
    for (const [constraint, { words }] of first) {
      const { looks, ...known } = this.#all.get(constraint) ?? { constraint, words, looks: 0 };
      this.#all.set(constraint, { ...known, looks: looks + 1 });
    }
  }

  result(): ConstraintRefusal[] {
    return [...this.#all.values()].toSorted((one, other) => other.looks - one.looks);
  }
}
