import type { GuestHandle } from '../../port/inventory.ts';
import type { GuestRunState } from '../../protocol/public/hosts/host.ts';
import type { Phase } from '../../protocol/public/migration.ts';

/** What was found on this host, as plain data; judge.ts says what of it is left over. */
export interface HostFacts {
  readonly migrations: readonly MigrationFact[];
  readonly guestDirectories: readonly GuestDirectoryFact[];
  readonly guests: readonly GuestFact[];
  readonly taps: readonly TapFact[];
}

export interface MigrationFact {
  readonly id: string;
  readonly dir: string;
  /** Absent where request.json is not there, or is not of a version that this agent reads. */
  readonly known?: {
    readonly guest: string;
    /** No record names the guest: it may be any of this host. */
    readonly isNameless?: boolean;
    readonly side: 'source' | 'destination';
    readonly phase: Phase;
    readonly moverAlive: boolean;
    /** The supervisor has given up on it, and why. */
    readonly leftBecause?: string;
    /** Its journal cannot be read, and why: nobody knows where it stands. */
    readonly unreadable?: string;
  };
  readonly hasJournal: boolean;
  /** Since something was made or removed in it, ms. */
  readonly restsMs: number;
  /** Paths in the directory. */
  readonly sockets: readonly SocketFact[];
  readonly temporary: readonly string[];
  readonly tls: string | undefined;
  /** Names of the taps that it makes begin with this. */
  readonly tapPrefix: string;
}

export interface SocketFact {
  readonly path: string;
  /** Some process still listens there. */
  readonly bound: boolean;
}

export interface GuestDirectoryFact {
  readonly name: string;
  readonly dir: string;
  /** A process listens on a socket in it, or a hypervisor of it may live. */
  readonly inUse: boolean;
  /** Since something was made or removed in it, ms. */
  readonly restsMs: number;
}

export interface GuestFact {
  readonly name: string;
  readonly state: GuestRunState;
  readonly pid: number;
  readonly handle?: GuestHandle;
  /** The directory under stateDir/guests in which its monitor is: Godwit started it. */
  readonly dir?: string;
  /** It was built for a migration that has not been settled. */
  readonly unsettled: boolean;
  /** The migration whose journal names this very hypervisor; absent if no journal does, or it has been settled. */
  readonly builtBy?: string;
}

export interface TapFact {
  readonly name: string;
  /** Whether a process holds it; undefined where that cannot be known. */
  readonly held: boolean | undefined;
}
