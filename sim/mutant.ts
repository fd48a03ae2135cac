import type { Scenario } from './scenario.ts';

/** The movers broken on purpose, each in one place: what finds nothing may be blind. */
export interface Mutant {
  readonly name: string;
  readonly breaks: string;
  readonly puts: readonly MethodReplacement[];
  /** Where it shows: the nth of the scenarios in which it is looked for. */
  readonly scenario: (nth: number) => Scenario;
  /** The rule that is broken. */
  readonly shows: RegExp;
}

/** Another function in the place of the real one. */
export interface MethodReplacement {
  readonly target: object;
  readonly method: string;
  readonly by: (real: Method) => Method;
}

export type Method = (this: unknown, ...given: never[]) => unknown;
