import type { GuestHandle } from '../../port/inventory.ts';
import type { GuestRunState } from '../../protocol/public/hosts/host.ts';
import type { Phase } from '../../protocol/public/migration.ts';

/** Facts about this host as plain data; judge.ts decides what is left over. */
export interface HostFacts {
  readonly migrations: readonly MigrationFact[];
  readonly guestDirectories: readonly GuestDirectoryFact[];
  readonly guests: readonly GuestFact[];
  readonly taps: readonly TapFact[];
}

export interface MigrationFact {
  readonly id: string;
  readonly dir: string;
  readonly known?: {
    readonly guest: string;
    /** No record names the guest: it may be any guest of this host. */
    readonly isNameless?: boolean;
    readonly side: 'source' | 'destination';
    readonly phase: Phase;
    readonly moverAlive: boolean;
    readonly leftBecause?: string;
    /** The reason why the journal cannot be read; the phase is unknown. */
    readonly unreadable?: string;
  };
  readonly hasJournal: boolean;
  readonly restsMs: number;
  readonly sockets: readonly SocketFact[];
  readonly temporary: readonly string[];
  readonly tls: string | undefined;
  readonly tapPrefix: string;
}

export interface SocketFact {
  readonly path: string;
  readonly bound: boolean;
}

export interface GuestDirectoryFact {
  readonly name: string;
  readonly dir: string;
  /** A process listens on a socket in it, or its hypervisor may live. */
  readonly inUse: boolean;
  readonly restsMs: number;
}

export interface GuestFact {
  readonly name: string;
  readonly state: GuestRunState;
  readonly pid: number;
  readonly handle?: GuestHandle;
  /** Directory of its monitor under stateDir/guests: Godwit started it. */
  readonly dir?: string;
  readonly unsettled: boolean;
  /** The migration whose journal names this hypervisor; absent if no journal does, or if it has been settled. */
  readonly builtBy?: string;
}

export interface TapFact {
  readonly name: string;
  readonly held: boolean | undefined;
}
