import type {
  CopiedDisk,
  ManagedOrder,
  TaskChange,
  TaskSight,
  Whereabouts,
} from '../migration/managed/task-sight.ts';
import type { GuestSnapshot } from '../migration/guest-changes/snapshot.ts';
import type { GuestHandle } from '../protocol/mover/handle.ts';
import type { GuestInfo } from '../protocol/public/hosts/host.ts';
import type { MaintenanceSight, ManagedHost } from '../protocol/public/hosts/managed-host.ts';
import type { Check } from '../protocol/public/migration.ts';
import type { GuestMeasure } from '../protocol/public/prediction.ts';
import type { WrittenFiles } from './disks.ts';
import type { Capabilities, DriverInventory } from './inventory.ts';

/**
 * A manager (libvirt, vSphere, Hyper-V) moves the memory and decides who runs the guest. Godwit checks, starts one
 * task, watches it, and verifies the result. Both the manager and Godwit may be on either host or on neither.
 */
export interface ManagedDriver extends DriverInventory {
  readonly capabilities: Capabilities &
    Required<Pick<Capabilities, 'figures'>> & { readonly shape: 'managed' };
  /** GODWIT_UNREACHABLE if the manager does not answer. */
  openManaged(handle: GuestHandle, signal: AbortSignal): Promise<ManagedSession>;
  /**
   * Time limit of one question to a session, ms. Absent: the limit of one call. A driver that makes many calls for
   * one question bounds each of them, so that a busy manager is not taken for a silent one.
   */
  readonly questionMs?: number;
  /**
   * Guest that this migration brought to this host, as its manager reports it now; undefined if there is none. Call
   * it before `finish`. Absent if the manager is not part of this host.
   */
  arrived?(
    of: Pick<ManagedOrder, 'id' | 'guest'>,
    signal: AbortSignal,
  ): Promise<ArrivedGuest | undefined>;
  /**
   * Sockets of this host for its manager to connect or listen to, for the memory (orders with `wire`) and the disks
   * (orders with `copies`). Absent: the manager only uses its own path.
   */
  readonly memorySockets?: MemorySockets;
  /**
   * Read-only checks whether this driver could work with the manager, most basic first. Errors become findings; only
   * the signal rejects. Absent for managers that are part of a host.
   */
  diagnose?(signal: AbortSignal): Promise<ManagerFinding[]>;
  /** Current hosts of the manager. Absent if the manager is part of this host. */
  hosts?(signal: AbortSignal): Promise<ManagedHost[]>;
  /**
   * Resolves after the manager has reported a change since the last `hosts` or `discover`, and from time to time
   * without one. Rejects if it does not answer. Absent: only a look shows changes.
   */
  changed?(signal: AbortSignal): Promise<void>;
  /** Absent if no host of the manager has a maintenance mode. */
  readonly maintenance?: HostMaintenance;
}

/**
 * Takes hosts of a manager out of use, one call at a time. GODWIT_HOST_UNKNOWN: no host of that Godwit name.
 * GODWIT_CAPABILITY: no such mode on that host. GODWIT_HYPERVISOR, GODWIT_MANAGER_DENIED: refused. After any other
 * error the call may have had its effect.
 */
export interface HostMaintenance {
  /**
   * Resolves once the host is ordered into maintenance mode, or already was. `stopped`: if the manager moves the
   * guests, those that are off leave as well.
   */
  enter(
    host: string,
    order: { readonly stopped: boolean },
    signal: AbortSignal,
  ): Promise<MaintenanceSight>;
  look(host: string, signal: AbortSignal): Promise<MaintenanceSight>;
  /** Resolves once the end of the mode, or of an attempt to enter it, is ordered. */
  leave(host: string, signal: AbortSignal): Promise<MaintenanceSight>;
}

export interface ArrivedGuest {
  /** Undefined if the manager does not name the files. */
  readonly written: WrittenFiles | undefined;
  readonly nics: GuestInfo['nics'];
}

/** A directory of unix sockets. */
export interface MemorySockets {
  /** Path in the manager's view; the same at both hosts of a migration. */
  readonly place: string;
  /** Path on this host. */
  readonly directory: string;
  /** User that creates and opens sockets there, as the manager reports it. */
  readonly user?: (signal: AbortSignal) => Promise<SocketUser | undefined>;
}

export interface SocketUser {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Path of a migration's socket. It includes the source's name, so that a host cannot reach the socket of another
 * source's migration, whatever id it sends.
 */
export function memorySocket(
  directory: string,
  { id, from }: Pick<ManagedOrder, 'id' | 'from'>,
): string {
  return `${directory}/godwit-${id}-${from}.sock`;
}

/** Socket for the copies of its disks. */
export function diskSocket(
  directory: string,
  { id, from }: Pick<ManagedOrder, 'id' | 'from'>,
): string {
  return `${directory}/godwit-${id}-${from}.nbd`;
}

export interface ManagerFinding {
  readonly name: string;
  readonly verdict: 'ok' | 'warn' | 'fail';
  readonly found: string;
  readonly hint?: string | undefined;
}

/**
 * One guest, through its manager. Managers crash, forget, and answer late or twice: after an error, a call may still
 * have had its effect, except as stated at `start`.
 */
export interface ManagedSession {
  /** Describes the guest as its manager reports it, with findings on the guest alone. */
  inspect(signal: AbortSignal): Promise<ManagedInspection>;
  /** Absent if the driver cannot read it; the guest is then not compared again. */
  snapshot?(signal: AbortSignal): Promise<GuestSnapshot | undefined>;
  /** Findings of the manager and the driver for this move; starts nothing. */
  check(order: ManagedOrder, signal: AbortSignal): Promise<Check[]>;
  /**
   * Measures the writes of the running guest over several windows; takes seconds and never pauses it.
   * GODWIT_CAPABILITY if it cannot measure now. Present if the driver's `measures` is true.
   */
  measure?(signal: AbortSignal): Promise<GuestMeasure>;
  /**
   * Disks that the move must copy, if nothing is against the move; makes nothing. Later orders include them. Absent,
   * with `prepare` and `unprepare`, if the driver copies no disks.
   */
  copies?(order: ManagedOrder, signal: AbortSignal): Promise<CopiedDisk[]>;
  /**
   * Creates the targets of the order's copies at the destination, and overwrites nothing. Repeatable. A
   * non-`retryable` error means that no call of it will make anything any more.
   */
  prepare?(order: ManagedOrder, signal: AbortSignal): Promise<void>;
  /**
   * Removes what `prepare` made, and remains of this order left by a manager that died; nothing else. Repeatable.
   * Rejects, and removes nothing, unless the guest is at its source and nothing moves it. `isOrdered`: the targets
   * may hold part of a copy; otherwise they are empty. Resolves to a note for the operator, if any.
   */
  unprepare?(
    order: ManagedOrder,
    isOrdered: boolean,
    signal: AbortSignal,
  ): Promise<string | undefined>;
  /**
   * Starts the task. Repeating an order (same `id`) returns the same task, for as long as the manager remembers it.
   * GODWIT_HYPERVISOR means that the manager started none and will not; after any other error it may have.
   */
  start(order: ManagedOrder, signal: AbortSignal): Promise<void>;
  /** Time until an abandoned `start` or `prepare` can no longer have an effect, ms. */
  readonly settlesMs: number;
  /** The manager's current report on this migration's task. */
  look(order: ManagedOrder, signal: AbortSignal): Promise<TaskSight>;
  /**
   * Resolves to `news` after a reported change of the task or its guest since the last `look`, to `quiet` from time
   * to time, and to undefined if only a look shows changes. Absent if that is always so.
   */
  changed?(order: ManagedOrder, signal: AbortSignal): Promise<'news' | 'quiet' | undefined>;
  /**
   * Changes the running task within the driver's `levers`; idempotent. Does nothing if the task has ended or is in
   * post-copy.
   */
  steer?(order: ManagedOrder, change: TaskChange, signal: AbortSignal): Promise<void>;
  /** The guest's place, according to the manager. */
  where(order: ManagedOrder, signal: AbortSignal): Promise<Whereabouts>;
  /** Asks the manager to end the task, if there is one; `look` and `where` report the outcome. */
  cancel(order: ManagedOrder, signal: AbortSignal): Promise<void>;
  /** Removes the driver's traces of the task at the manager (a mark, a filter). Repeatable. */
  finish(order: ManagedOrder, signal: AbortSignal): Promise<void>;
  /** Closes the connection; the task continues. */
  close(): Promise<void>;
}

export interface ManagedInspection {
  /** Used for later comparisons; absent if the driver cannot read it. */
  readonly snapshot?: GuestSnapshot | undefined;
  readonly memoryBytes: number;
  readonly checks: readonly Check[];
  /**
   * Files that it writes to on this host. Absent if the manager is not part of this host, or does not name the files.
   */
  readonly written?: WrittenFiles | undefined;
  /**
   * Block devices that the manager opens at the destination under their current path, without a check; Godwit proves
   * that each is the same device. Absent if the manager checks them itself.
   */
  readonly devices?: readonly HeldDevice[] | undefined;
}

export interface HeldDevice {
  /** Disk name for people. */
  readonly name: string;
  readonly file: string;
  readonly isWritten: boolean;
}
