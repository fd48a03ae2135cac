import { defined } from '../../protocol/defined.ts';
import type { HypervisorEvent, HypervisorStatus } from '../../port/direct.ts';
import type { HaltKind } from '../../migration/guest-changes/run-states.ts';
import type { EndKind } from '../../protocol/guest-end.ts';
import type { MigrationState } from './qmp/answers.ts';

type Stream = HypervisorStatus['stream'];

const STREAMS: Readonly<Record<string, Stream>> = {
  none: 'none',
  setup: 'setup',
  'wait-unplug': 'setup',
  active: 'active',
  colo: 'active',
  cancelling: 'active',
  'pre-switchover': 'pre-switchover',
  device: 'device',
  'postcopy-device': 'device',
  'postcopy-active': 'postcopy-active',
  'postcopy-paused': 'postcopy-paused',
  'postcopy-recover-setup': 'postcopy-recovering',
  'postcopy-recover': 'postcopy-recovering',
  completed: 'completed',
  cancelled: 'cancelled',
  failed: 'failed',
  failing: 'failed',
};

export function streamOf(status: string | undefined): Stream {
  return STREAMS[status ?? 'none'] ?? 'none';
}

/** `side` matters for a source that has handed the guest over, because the run state alone does not show it. */
export function runOf(
  status: string,
  stream: Stream,
  side: 'source' | 'destination',
): HypervisorStatus['run'] {
  if (status === 'running') return 'running';
  if (status === 'inmigrate') return 'incoming';
  if (status === 'postmigrate') return 'handed-over';
  if (status === 'shutdown') return 'shut-down';
  const given = stream.startsWith('postcopy') || stream === 'completed';
  return side === 'source' && given && status === 'finish-migrate' ? 'handed-over' : 'paused';
}

const HALTS: Readonly<Record<string, HaltKind>> = {
  paused: 'paused',
  'io-error': 'io-error',
  shutdown: 'shut-down',
  'guest-panicked': 'panicked',
  suspended: 'suspended',
  debug: 'debug',
  watchdog: 'watchdog',
  'internal-error': 'internal-error',
};

/** Reason why the guest is stopped; undefined if it runs or is stopped by its migration. */
export function haltKind(status: string): HaltKind | undefined {
  return Object.hasOwn(HALTS, status) ? HALTS[status] : undefined;
}

/** Kind of end in QEMU's event `SHUTDOWN`; undefined for an unknown reason of a newer QEMU. */
export function endKindOf(data: Readonly<Record<string, unknown>>): EndKind | undefined {
  switch (data['reason']) {
    case 'guest-shutdown':
      return 'shut-down';
    case 'guest-panic':
      return 'panicked';
    case 'host-qmp-quit':
      return 'ordered';
    case 'host-signal':
      return 'signalled';
    default:
      return undefined;
  }
}

export function statusOf(
  run: string,
  migration: MigrationState,
  side: 'source' | 'destination',
): HypervisorStatus {
  const reported = streamOf(migration.status);
  // A guest that once arrived by migration still reports that migration's `completed`.
  const past =
    side === 'source' && reported === 'completed' && !/^(post|finish-)migrate$/.test(run);
  const stream = past ? 'none' : reported;
  const reason = migration['error-desc'];
  const waitedMs = migration['postcopy-blocktime'];
  const halted = haltKind(run);
  return {
    run: runOf(run, stream, side),
    stream,
    ...defined({ reason, waitedMs }),
    ...(halted === undefined ? {} : { halt: { kind: halted } }),
  };
}

export function streamEvent(stream: Stream, reason: string): HypervisorEvent | undefined {
  switch (stream) {
    case 'none':
      return undefined;
    case 'postcopy-paused':
    case 'failed':
      return { type: stream, reason };
    case 'setup':
    case 'active':
    case 'pre-switchover':
    case 'device':
    case 'postcopy-active':
    case 'postcopy-recovering':
    case 'completed':
    case 'cancelled':
      return { type: stream };
  }
}

export function runEvent({
  run,
  halt,
}: Pick<HypervisorStatus, 'run' | 'halt'>): HypervisorEvent | undefined {
  if (run === 'running') return { type: 'resumed' };
  if (run !== 'paused' && run !== 'shut-down' && run !== 'handed-over') return undefined;
  return halt === undefined ? { type: 'stopped' } : { type: 'stopped', halt };
}
