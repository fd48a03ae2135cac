import type { Contract } from '../../src/protocol/route.ts';
import { agentContract } from '../../src/protocol/contract.ts';
import { peerContract } from '../../src/protocol/peer/contract.ts';

/** Who is spoken to: the agent, the mover of a migration of one's own, or that of somebody else's. */
export type Target = 'agent' | 'mover' | 'foreign';

/** One request, as it goes over the wire. */
export interface Ask {
  readonly target: Target;
  /** The route that is meant: its key in the contract. */
  readonly route: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** It names a migration, or speaks to a mover, that is another host's business. */
  readonly isForeign: boolean;
}

/** What is tried. The seed and the number give it again. */
export interface Case {
  readonly number: number;
  readonly kind: string;
  readonly asks: readonly Ask[];
}

export interface Answer {
  /** 0: the connection ended without one. */
  readonly status: number;
  readonly body: string;
  readonly tookMs: number;
}

export function contractOf(target: Target): Contract {
  return target === 'agent' ? agentContract : peerContract;
}
