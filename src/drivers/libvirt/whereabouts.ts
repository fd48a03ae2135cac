import type { Whereabouts } from '../../migration/managed/task-sight.ts';
import type { EndKind } from '../../protocol/guest-end.ts';
import type { DomainState } from './client.ts';
import type { GuestRunState } from '../../protocol/public/hosts/host.ts';

/** Guest's place, from both daemons' reports of its domain. Pure. */

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
const RUNNING_BOOTED = 1;
const RUNNING_MIGRATED = 2;
const RUNNING_RESTORED = 3;
const RUNNING_FROM_SNAPSHOT = 4;
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

/** Report of one daemon. `silent`: no answer. */
export type Sight = DomainState | 'absent' | 'silent';

/**
 * - `has`: the guest is there.
 * - `waits`: its domain is there and waits for the guest, or for its end.
 * - `left`: libvirt reports that it went to another host.
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

/** Runs now: neither paused nor crashed. */
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

/** The source reports that the guest runs at its destination without all of its memory. */
export function isInPostCopy({ state, reason }: DomainState): boolean {
  return (
    state === STATE.paused && (reason === PAUSED_POSTCOPY || reason === PAUSED_POSTCOPY_FAILED)
  );
}

/**
 * The guest is at the host whose daemon has it. A silent daemon proves nothing, and neither does a waiting
 * domain: libvirt is still working, or needs the operator. `isLeft`: Godwit may end the source's copy
 * (left-behind.ts).
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
  // Both have it, neither has it, or the daemon that might have it does not answer.
  return endedDuring(source, destination, isMigrating) ?? { at: 'unknown', ...known };
}

/**
 * The source's daemon died before it was informed of the move's outcome, and keeps its copy paused for a
 * decision (libvirt's qemu_process.c, recovery after the phase `perform3_done`). The other daemon reports that
 * the guest runs there with all its memory, so the copy must not run again. In post-copy it may still have
 * needed memory, and this is false.
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
 * An inactive domain has run there since its daemon's start: it was ended or moved on. False if it only began to
 * arrive and crashed or failed, or if that is unknown.
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

/**
 * The domain has not been paused since its start or arrival, because another reason follows each pause. libvirt starts
 * a guest at its destination only once its source is paused.
 */
export function isNeverPaused(sight: Sight): boolean {
  if (typeof sight === 'string' || sight.state !== STATE.running) return false;
  return (
    sight.reason === RUNNING_BOOTED ||
    sight.reason === RUNNING_MIGRATED ||
    sight.reason === RUNNING_RESTORED ||
    sight.reason === RUNNING_FROM_SNAPSHOT
  );
}

/** Kind of end of a guest that ran there; undefined if it has not ended or the daemon does not report it. */
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
 * A guest that ended during its move has no process on either host. Both daemons must answer: one reports the
 * end, and the other has no domain or one that ended before.
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
