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
  /** It names another epoch than that of the migration. */
  readonly isForged?: boolean;
}

/** Where bytes go: the agent, a mover’s API, the way of the memory of its guest, or of its disks. */
export type Listener = 'agent' | 'mover' | 'memory';

/** One connection, and what is written to it. */
export interface Bytes {
  readonly listener: Listener;
  /** How it is opened: in clear text, over TLS with the certificate, or without one. */
  readonly manner: 'plain' | 'tls' | 'anonymous';
  readonly alpn: string;
  /** Base64; there is a pause between two of them. */
  readonly pieces: readonly string[];
  /** What stands for the name of the session that waits there, in hello frames. */
  readonly greets: boolean;
  /** Nothing more is said then, and the connection is kept for so long, ms. */
  readonly holdMs: number;
}

/** What is tried. The seed and the number give it again. */
export interface Case {
  readonly number: number;
  readonly kind: string;
  readonly asks: readonly Ask[];
  /** Connections, after all of them, one after the other. */
  readonly bytes?: readonly Bytes[];
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
