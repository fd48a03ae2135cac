import type { StoreFlaw } from './memory-store.ts';
import type { AgentFlaw } from './model-agent.ts';
import type { HandFlaw } from './model-hand.ts';
import type { RollFlaw } from './model-rolls.ts';

/** A rule of the engine, the store or the agents that a mutant leaves out. */
export type Flaw = StoreFlaw | AgentFlaw | RollFlaw | HandFlaw | 'ask-before-store';

/** Those that are not the store's. */
export const ENGINE_FLAWS: ReadonlySet<Flaw> = new Set<Flaw>([
  'ask-before-store',
  'agent-takes-any-epoch',
  'drop-without-epoch',
  'program-runs-twice',
  'host-is-not-asked',
]);
