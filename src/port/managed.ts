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
 * A manager (as of libvirt, vSphere or Hyper-V) moves the memory and decides who runs the guest. Godwit checks, starts one
 * task, watches it, and looks afterwards. The manager may be on this host, on another, or on none of the two that take
 * part; Godwit may sit beside one of them, or beside none.
 */
export interface ManagedDriver extends DriverInventory {
  readonly capabilities: Capabilities &
    Required<Pick<Capabilities, 'figures'>> & { readonly shape: 'managed' };
  /** Asks the guest's manager for it. GODWIT_UNREACHABLE where the manager does not answer. */
  openManaged(handle: GuestHandle, signal: AbortSignal): Promise<ManagedSession>;
  /**
   * ms that one question of a session may take. Absent where a question is one call: then it has the time of one. A driver
   * that asks its manager many things for one question bounds each of them itself, so that a busy manager is not a silent one.
   */
  readonly questionMs?: number;
  /**
   * The guest that this migration has brought to this host, as its manager has it now; undefined where it has none by that
   * migration. To be asked before `finish`. Absent where the manager is no part of this host.
   */
  arrived?(
    of: Pick<ManagedOrder, 'id' | 'guest'>,
    signal: AbortSignal,
  ): Promise<ArrivedGuest | undefined>;
  /**
   * Where this host's manager connects, or listens, with the memory of a migration whose order has `wire`, and with its
   * disks where the order has `copies`. Absent where it sends them by a path of its own alone.
   */
  readonly memorySockets?: MemorySockets;
  /**
   * Reads, and changes nothing there: whether this driver could do its work with the manager, most basic first. An error is
   * a finding; none is thrown but by the signal. Absent where there is no manager to be asked from afar.
   */
  diagnose?(signal: AbortSignal): Promise<ManagerFinding[]>;
  /** The manager's hosts, as of now. Absent where the manager is part of this host. */
  hosts?(signal: AbortSignal): Promise<ManagedHost[]>;
  /**
   * Resolves once the manager has reported a change of its hosts or guests since the last `hosts` or `discover`, and now
   * and then without one; rejects where it does not answer. Absent where only looking shows it.
   */
  changed?(signal: AbortSignal): Promise<void>;
  /** Absent where the manager has no maintenance mode for any of its hosts. */
  readonly maintenance?: HostMaintenance;
}

/**
 * Takes hosts of a manager out of use. Each call rejects with GODWIT_HOST_UNKNOWN where the manager has no host of that name
 * (Godwit's), GODWIT_CAPABILITY where that host has no such mode, GODWIT_HYPERVISOR or GODWIT_MANAGER_DENIED where the manager
 * refuses; any other error says nothing about whether a call had its effect. Whoever calls makes one call at a time.
 */
export interface HostMaintenance {
  /**
   * Orders the host into maintenance mode, unless it is there or on its way; resolves once that is ordered.
   * `stopped`: guests that are off are to leave, too, where it is the manager that moves.
   */
  enter(
    host: string,
    order: { readonly stopped: boolean },
    signal: AbortSignal,
  ): Promise<MaintenanceSight>;
  look(host: string, signal: AbortSignal): Promise<MaintenanceSight>;
  /** Ends an attempt to enter, or orders the host out of the mode; resolves once that is ordered. */
  leave(host: string, signal: AbortSignal): Promise<MaintenanceSight>;
}

/** What a host looks at of a guest that has come to it. */
export interface ArrivedGuest {
  /** Undefined where the manager does not name the files. */
  readonly written: WrittenFiles | undefined;
  readonly nics: GuestInfo['nics'];
}

/** A directory of unix sockets. */
export interface MemorySockets {
  /** As the manager names it: the same at both hosts of a migration. */
  readonly place: string;
  /** As Godwit reaches it on this host. */
  readonly directory: string;
  /** Whoever makes and reaches sockets there, by the manager's word; undefined where it does not say. */
  readonly user?: (signal: AbortSignal) => Promise<SocketUser | undefined>;
}

/** As the system numbers a hypervisor's user. */
export interface SocketUser {
  readonly uid: number;
  readonly gid: number;
}

/**
 * The socket of one migration, in either name of its directory. The source is part of the name: whatever id a host asks
 * with, it reaches no socket of a migration that another one sends.
 */
export function memorySocket(
  directory: string,
  { id, from }: Pick<ManagedOrder, 'id' | 'from'>,
): string {
  return `${directory}/godwit-${id}-${from}.sock`;
}

/** By which its disks are copied, beside that of its memory. */
export function diskSocket(
  directory: string,
  { id, from }: Pick<ManagedOrder, 'id' | 'from'>,
): string {
  return `${directory}/godwit-${id}-${from}.nbd`;
}

/** What was found of a manager, and what to do where it is not well. */
export interface ManagerFinding {
  readonly name: string;
  readonly verdict: 'ok' | 'warn' | 'fail';
  readonly found: string;
  readonly hint?: string | undefined;
}

/**
 * One guest, through its manager. Managers crash, forget, answer late and answer twice: an error of a call says nothing
 * about whether it had its effect, but for what is said at `start`.
 */
export interface ManagedSession {
  /** Describes the guest as its manager sees it now, with findings on the guest alone. */
  inspect(signal: AbortSignal): Promise<ManagedInspection>;
  /** What the guest is made of now. Absent if the driver cannot read it: the guest is not compared again. */
  snapshot?(signal: AbortSignal): Promise<GuestSnapshot | undefined>;
  /** What the manager and this driver find for or against the move; starts nothing. */
  check(order: ManagedOrder, signal: AbortSignal): Promise<Check[]>;
  /**
   * Measures what the running guest writes within several windows; takes a few seconds, and never stops the guest.
   * GODWIT_CAPABILITY says why it cannot be measured now. Absent where the driver's `measures` is not true.
   */
  measure?(signal: AbortSignal): Promise<GuestMeasure>;
  /**
   * Disks that go along only as copies, where nothing is against the move; makes nothing. From then on each order has
   * them. Absent, with `prepare` and `unprepare`, where the driver copies none.
   */
  copies?(order: ManagedOrder, signal: AbortSignal): Promise<CopiedDisk[]>;
  /**
   * Makes at the destination what the order's copies are written to, and overwrites nothing there. Repeatable. An error
   * that is not `retryable` says that no call of it makes anything any more.
   */
  prepare?(order: ManagedOrder, signal: AbortSignal): Promise<void>;
  /**
   * Removes what `prepare` made, and what a manager that died may have left there of the order, and nothing else. Repeatable.
   * It rejects, and removes nothing, unless the guest is at its source and nothing moves it. `isOrdered`: what was made may
   * hold a part of a copy; otherwise it is still empty. Resolves with what a person has to know of it, where there is any.
   */
  unprepare?(
    order: ManagedOrder,
    isOrdered: boolean,
    signal: AbortSignal,
  ): Promise<string | undefined>;
  /**
   * Starts the task. The same order again, by its `id`, is the same task, for as long as the manager remembers it. GODWIT_HYPERVISOR is
   * the manager's word that it has started none and will not; every other error leaves that open.
   */
  start(order: ManagedOrder, signal: AbortSignal): Promise<void>;
  /** ms after which no call of `start` or `prepare` that was given up can have its effect any more. */
  readonly settlesMs: number;
  /** The task of this migration, as the manager reports it now. */
  look(order: ManagedOrder, signal: AbortSignal): Promise<TaskSight>;
  /**
   * Resolves to `news` once the manager has reported a change of the task or of its guest since the last `look`, and now and
   * then to `quiet` without one; to undefined if only looking shows it. Absent if that is always so.
   */
  changed?(order: ManagedOrder, signal: AbortSignal): Promise<'news' | 'quiet' | undefined>;
  /**
   * Changes the task while it runs, as far as the driver declares by its `levers`; twice is as good as once. Where it runs no more, or
   * has gone over to post-copy: nothing. Absent where it declares none.
   */
  steer?(order: ManagedOrder, change: TaskChange, signal: AbortSignal): Promise<void>;
  /** Where the guest is now, by the manager's word. */
  where(order: ManagedOrder, signal: AbortSignal): Promise<Whereabouts>;
  /** Asks the manager to end the task. What became of it, `look` and `where` report it. No such task: nothing. */
  cancel(order: ManagedOrder, signal: AbortSignal): Promise<void>;
  /** Removes what this driver left with the manager for the task (a mark, a filter). Repeatable. */
  finish(order: ManagedOrder, signal: AbortSignal): Promise<void>;
  /** Closes the connection; the task goes on. */
  close(): Promise<void>;
}

export interface ManagedInspection {
  /** What the guest is made of now, to be compared with later; absent if the driver cannot read it. */
  readonly snapshot?: GuestSnapshot | undefined;
  readonly memoryBytes: number;
  readonly checks: readonly Check[];
  /** What it writes to on this host. Absent where the manager is no part of it, or does not name the files. */
  readonly written?: WrittenFiles | undefined;
  /**
   * Block devices that the manager opens at the destination under the path that they have here, whatever lies there: Godwit
   * proves that it is the same. Absent where the manager sees to that itself.
   */
  readonly devices?: readonly HeldDevice[] | undefined;
}

export interface HeldDevice {
  /** Of the disk, as people know it. */
  readonly name: string;
  readonly file: string;
  readonly isWritten: boolean;
}
