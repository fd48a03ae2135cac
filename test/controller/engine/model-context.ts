import type { Carrier } from '../../../src/controller/engine/carrier.ts';
import type { Claim } from '../../../src/controller/engine/ports.ts';

/** What the model of two controllers is made of. */

export interface Pending {
  readonly to: 'store' | 'agent' | 'program' | 'sleep';
  readonly what: string;
  readonly execute: () => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export interface Controller {
  readonly name: string;
  alive: boolean;
  /** The claim that it believes to have. */
  readonly held: () => Claim | undefined;
  carrier: Carrier | undefined;
  readonly pending: Pending[];
  /** Answers since the round began: with the calls under way, all that a controller knows. */
  trace: string;
}

export interface Choice {
  readonly name: string;
  readonly isFault: boolean;
  readonly act: () => Promise<void> | void;
}

/** What a caller waits for in vain changes nothing, unless it is one of these. */
export const isWrite = (what: string): boolean => !/^(look|view|acquire|release)/.test(what);

/** Promises settle within a few turns: nothing in the model waits for a clock. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 24; turn += 1) await Promise.resolve();
}
