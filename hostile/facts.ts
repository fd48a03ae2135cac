import type { GuestDescription } from '../src/protocol/peer/migration.ts';

/** What somebody hostile knows of the hosts around: everything that a host of the fleet can know, and some good guesses. */
export interface Facts {
  /** The host whose certificate is misused, and where it is read. */
  readonly self: string;
  readonly pkiDir: string;
  /** Where others reach its agent, in whose place the attacker answers. */
  readonly selfAddress: string;
  /** The host that is attacked. */
  readonly target: { readonly name: string; readonly address: string };
  /** A third host, which keeps to the rules. */
  readonly other: string;
  /** Guests of the host that is attacked, none of which is this host's business. */
  readonly guests: readonly string[];
  /** A migration from the third host to the one that is attacked, while it goes on. */
  readonly foreign: {
    readonly id: string;
    readonly guest: string;
    readonly epoch: number;
    readonly moverAddress: string;
  };
  /** A migration that the attacked host knows and that has ended. */
  readonly ended: string;
  /** Files of the attacked host, and others that nobody has: each is a trap. */
  readonly paths: readonly string[];
  /** A guest as a host of this build describes it. */
  readonly description: GuestDescription;
}

/** The epoch of each migration that is begun here. */
export const EPOCH = 7;
export const MIB = 1024 ** 2;
