import type { Whereabouts } from '../../migration/managed/task-sight.ts';
import type { EndKind } from '../../protocol/guest-end.ts';
import type { DomainState } from './client.ts';
import type { GuestRunState } from '../../protocol/public/hosts/host.ts';

/** Where a guest is, by what the daemons of both hosts say of its domain. Pure. */

/** virDomainState */
const STATE = {
  running: 1,
  blocked: 2,
  paused: 3,
  shutdown: 4,
  shutoff: 5,
  crashed: 6,
  suspended: 7,
} as const;
/** virDomainRunningReason, virDomainPausedReason, virDomainShutoffReason */
const RUNNING_MIGRATED = 2;
const PAUSED_MIGRATION = 2;
const PAUSED_STARTING_UP = 11;
const PAUSED_POSTCOPY = 12;
const PAUSED_POSTCOPY_FAILED = 13;
const SHUTOFF_SHUTDOWN = 1;
const SHUTOFF_DESTROYED = 2;
const SHUTOFF_CRASHED = 3;
const SHUTOFF_MIGRATED = 4;
const SHUTOFF_SAVED = 5;
const SHUTOFF_FAILED = 6;
const SHUTOFF_FROM_SNAPSHOT = 7;

/** What one daemon says. `silent`: it does not answer. */
export type Sight = DomainState | 'absent' | 'silent';

/**
 * - `has`: the guest is there.
 * - `waits`: its domain is there, and waits for the guest or for its end.
 * - `left`: libvirt says that it went to another host.
 */
export type Presence = 'has' | 'waits' | 'left' | 'absent' | 'silent';

export function presence(sight: Sight): Presence {
  if (typeof sight === 'string') return sight;
  const { state, reason } = sight;
  switch (state) {
    case STATE.running:
    case STATE.blocked:
    case STATE.suspended:
    case STATE.shutdown:
    case STATE.crashed:
      return 'has';
    case STATE.paused:
      return isPausedByMigration(reason) ? 'waits' : 'has';
    case STATE.shutoff:
      return reason === SHUTOFF_MIGRATED ? 'left' : 'absent';
    default:
      return 'waits';
  }
}

/** It works now: neither paused, whoever did that, nor crashed. */
export function isAtWork(sight: Sight): boolean {
  if (typeof sight === 'string') return false;
  return sight.state === STATE.running || sight.state === STATE.blocked;
}

function isPausedByMigration(reason: number): boolean {
  return (
    reason === PAUSED_MIGRATION ||
    reason === PAUSED_STARTING_UP ||
    reason === PAUSED_POSTCOPY ||
    reason === PAUSED_POSTCOPY_FAILED
  );
}

/** The source's word that the guest runs at its destination, before all of its memory is there. */
export function isInPostCopy({ state, reason }: DomainState): boolean {
  return (
    state === STATE.paused && (reason === PAUSED_POSTCOPY || reason === PAUSED_POSTCOPY_FAILED)
  );
}

/**
 * The guest is where a daemon says that it has it. A daemon that is silent proves nothing, and neither does a domain that
 * waits: libvirt is still at it, or needs a person. `isLeft`: the source's copy is one that Godwit may end (left-behind.ts).
 */
export function whereabouts(
  source: Sight,
  destination: Sight,
  isMigrating: boolean | undefined,
  isLeft = false,
): Whereabouts {
  const [from, to] = [presence(source), presence(destination)];
  const waits = (from === 'waits' && !isLeft) || to === 'waits';
  const busy = isMigrating === true || waits || (from === 'has' && to === 'has');
  const known = isMigrating === undefined && !busy ? {} : { busy };
  if (from === 'has' && to !== 'has') return { at: 'source', ...known };
  if (to === 'has' && from !== 'has') return { at: 'destination', ...known };
  if (from === 'left' && to === 'silent') return { at: 'destination', unseen: true, ...known };
  // Both have it, neither has it, or the one that might have it does not answer.
  return endedDuring(source, destination, isMigrating) ?? { at: 'unknown', ...known };
}

/**
 * The daemon of the source died before it heard how the move had ended. It keeps its copy paused for somebody to decide
 * (libvirt's qemu_process.c, recovery after the phase `perform3_done`). The other daemon says that the guest runs there with
 * all of its memory: that copy must not run again. In post-copy it may still have memory that the guest needs, and it is none.
 */
export function isLeftPaused(
  source: Sight,
  destination: Sight,
  isMigrating: boolean | undefined,
): boolean {
  if (typeof source === 'string' || typeof destination === 'string') return false;
  return (
    isMigrating === false &&
    source.state === STATE.paused &&
    source.reason === PAUSED_MIGRATION &&
    destination.state === STATE.running &&
    destination.reason === RUNNING_MIGRATED
  );
}

/**
 * A domain that does not run has run there, as of its daemon's start: somebody ended it, or it moved on. What only began to
 * arrive has crashed or failed, or its daemon does not know.
 */
export function hasRun(sight: Sight): boolean {
  if (typeof sight === 'string' || sight.state !== STATE.shutoff) return false;
  return (
    sight.reason === SHUTOFF_SHUTDOWN ||
    sight.reason === SHUTOFF_DESTROYED ||
    sight.reason === SHUTOFF_MIGRATED ||
    sight.reason === SHUTOFF_SAVED ||
    sight.reason === SHUTOFF_FROM_SNAPSHOT
  );
}

/** How a guest that ran there has ended, by its daemon; undefined if it has not, or if the daemon does not report it. */
export function endAt(sight: Sight): EndKind | undefined {
  if (typeof sight === 'string' || sight.state !== STATE.shutoff) return undefined;
  switch (sight.reason) {
    case SHUTOFF_SHUTDOWN:
      return 'shut-down';
    case SHUTOFF_DESTROYED:
    case SHUTOFF_SAVED:
      return 'ordered';
    case SHUTOFF_CRASHED:
    case SHUTOFF_FAILED:
      return 'crashed';
    default:
      return undefined;
  }
}

/**
 * A guest that ended while it moved is at no host as a process. Both daemons have to answer: one reports the end, and the
 * other one has no domain of it, or one that ended before.
 */
function endedDuring(
  source: Sight,
  destination: Sight,
  isMigrating: boolean | undefined,
): Whereabouts | undefined {
  if (isMigrating !== false) return undefined;
  const [from, to] = [presence(source), presence(destination)];
  const [here, there] = [endAt(source), endAt(destination)];
  if (here !== undefined && (to === 'absent' || to === 'left')) {
    return { at: 'source', busy: false, ended: here };
  }
  if (there !== undefined && from === 'left') {
    return { at: 'destination', busy: false, ended: there };
  }
  return undefined;
}

/** As Godwit's lists say it. */
export function runState({ state, reason }: DomainState, migrating: boolean): GuestRunState {
  if (migrating) return 'migrating';
  switch (state) {
    case STATE.running:
    case STATE.blocked:
      return 'running';
    case STATE.paused:
    case STATE.suspended:
      return reason === PAUSED_MIGRATION && state === STATE.paused ? 'incoming' : 'paused';
    case STATE.shutdown:
    case STATE.shutoff:
    case STATE.crashed:
      return 'stopped';
    default:
      return 'unknown';
  }
}
