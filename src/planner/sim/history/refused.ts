/** What a policy could not do in a replay, and why. Pure. */
import type { Constraint, Refusal } from '../../inventory.ts';

/** All that one constraint stood in the way of. */
export interface ConstraintRefusal {
  readonly constraint: Constraint;
  /** At so many looks. */
  readonly looks: number;
  /** The first one. */
  readonly words: string;
}

/** Counts looks, and not what is refused at them: what stands in the way stands there at each. */
export class RefusedCount {
  readonly #all = new Map<Constraint, ConstraintRefusal>();

  look(refusals: readonly Refusal[]): void {
    const first = new Map(refusals.toReversed().map((each) => [each.constraint, each]));
    for (const [constraint, { words }] of first) {
      const { looks, ...known } = this.#all.get(constraint) ?? { constraint, words, looks: 0 };
      this.#all.set(constraint, { ...known, looks: looks + 1 });
    }
  }

  /** Those that stood in the way most often come first. */
  result(): ConstraintRefusal[] {
    return [...this.#all.values()].toSorted((one, other) => other.looks - one.looks);
  }
}
