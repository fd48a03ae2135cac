import type { SerialError } from '../../errors.ts';
import { migrationSettings } from '../../protocol/public/migration.ts';
import type { Phase, Report } from '../../protocol/public/migration.ts';
import type { DestinationState } from '../direct/destination.ts';
import { replayDestination } from '../direct/journal.ts';
import type { DestinationRecord } from '../direct/journal.ts';

/** What the destination's journal tells by itself: less, but enough for the list and for a dead source. */
export function destinationReportOf(
  records: readonly DestinationRecord[],
  nowMs: number,
): Report | undefined {
  const first = records[0];
  const state = replayDestination(records.map((record) => record.event));
  if (first === undefined || state === undefined) return undefined;
  const ended = state.stage === 'finished' || state.stage === 'released';
  const lastAt = records.at(-1)?.at ?? first.at;
  const outcome = destinationOutcome(state.stage, state.error);
  const { id, guest, from, memoryBytes } = state.admission;
  const mode = state.preparation?.stream.mode ?? 'precopy';
  return {
    id,
    guest,
    from,
    to: state.host,
    outcome,
    phase: outcome === 'running' ? destinationPhase(state) : outcome,
    mode,
    finished: 'none',
    settings: migrationSettings.parse({ mode }),
    startedAt: new Date(first.at).toISOString(),
    ...(ended ? { endedAt: new Date(lastAt).toISOString() } : {}),
    totalMs: Math.max(0, (ended ? lastAt : nowMs) - first.at),
    bytes: 0,
    rounds: 0,
    throughput: 0,
    memoryBytes,
    pageRequests: 0,
    roundList: [],
    phases: [],
    checks: [],
    decisions: [],
    takeovers: records.filter((record) => record.event.type === 'taken-over').length,
    ...(state.error === undefined ? {} : { error: state.error }),
    runsAt: destinationRunsAt(state),
  };
}

/** Where the guest runs, as its destination knows: once it may be told to run there, that is for the source to say. */
export function destinationRunsAt({ right }: Pick<DestinationState, 'right'>): Report['runsAt'] {
  if (right === 'running') return 'destination';
  return right === 'armed' ? 'unknown' : 'source';
}

function destinationOutcome(stage: string, error: SerialError | undefined): Report['outcome'] {
  if (stage === 'finished') return 'done';
  if (stage !== 'released') return 'running';
  return error?.code === 'GODWIT_CANCELLED' ? 'cancelled' : 'failed';
}

function destinationPhase(state: { right: string; stage: string; hypervisor: string }): Phase {
  if (state.right === 'running') return state.hypervisor === 'postcopy' ? 'draining' : 'handover';
  if (state.stage === 'prepared') return 'memory';
  return state.stage === 'preparing' ? 'preparing' : 'checking';
}
