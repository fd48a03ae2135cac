import { defined } from '../../protocol/defined.ts';
import { withHalt } from '../../protocol/guest-halt.ts';
import { migrationSettings, type Phase, type Report } from '../../protocol/public/migration.ts';
import type { DestinationState } from '../direct/destination/destination.ts';
import { replayDestination, type DestinationRecord } from '../direct/journal.ts';

/** Report from the destination's journal alone: less complete, for lists and for a dead source. */
export function destinationReportOf(
  records: readonly DestinationRecord[],
  nowMs: number,
): Report | undefined {
  const first = records[0];
  const state = replayDestination(records.map((record) => record.event));
  if (first === undefined || state === undefined) return undefined;
  const ended = state.stage === 'finished' || state.stage === 'released';
  const lastAt = records.at(-1)?.at ?? first.at;
  const outcome = destinationOutcome(state);
  const { id, guest, from, memoryBytes } = state.admission;
  const settings = settingsOf(state);
  return {
    id,
    guest,
    from,
    to: state.host,
    side: 'destination',
    outcome,
    phase: outcome === 'running' ? destinationPhase(state) : outcome,
    mode: settings.mode,
    finished: finishedBy(state),
    settings,
    startedAt: new Date(first.at).toISOString(),
    ...(ended ? { endedAt: new Date(lastAt).toISOString() } : {}),
    totalMs: Math.max(0, (ended ? lastAt : nowMs) - first.at),
    memoryBytes,
    roundList: [],
    phases: [],
    checks: [],
    decisions: [],
    takeovers: records.filter((record) => record.event.type === 'taken-over').length,
    ...defined({ error: state.error }),
    ...withHalt(state),
    runsAt: destinationRunsAt(state),
    notKnown: notKnown(state, outcome),
  };
}

/** Settings as the source sent them; an older source only sends the mode, in its preparation. */
function settingsOf({ admission, preparation }: DestinationState): Report['settings'] {
  return (
    admission.settings ?? migrationSettings.parse({ mode: preparation?.stream.mode ?? 'precopy' })
  );
}

function finishedBy({ hasRun, postcopy }: DestinationState): Report['finished'] {
  if (!hasRun) return 'none';
  return postcopy ? 'postcopy' : 'precopy';
}

const SOURCE_SEES = [
  'bytes sent',
  'rounds',
  'throughput',
  'page requests',
  'downtime',
  'phases',
  'checks',
  'what was verified',
  'decisions',
];

function notKnown({ admission, error }: DestinationState, outcome: Report['outcome']): string[] {
  return [
    ...(admission.settings === undefined ? ['settings other than the mode'] : []),
    ...(outcome === 'failed' && error === undefined
      ? ['why it ended, and whether it was cancelled']
      : []),
    ...SOURCE_SEES,
  ];
}

/** Place of the guest in the destination's view; once the guest may run there, only the source knows. */
export function destinationRunsAt({ right }: Pick<DestinationState, 'right'>): Report['runsAt'] {
  if (right === 'running') return 'destination';
  return right === 'armed' ? 'unknown' : 'source';
}

function destinationOutcome({ stage, error, admission }: DestinationState): Report['outcome'] {
  if (stage === 'finished') return 'done';
  if (stage !== 'released') return 'running';
  // A rehearsal that reached its end is released without a reason.
  if (error === undefined && admission.settings?.rehearse === true) return 'rehearsed';
  return error?.code === 'GODWIT_CANCELLED' ? 'cancelled' : 'failed';
}

function destinationPhase(state: { right: string; stage: string; hypervisor: string }): Phase {
  if (state.right === 'running') return state.hypervisor === 'postcopy' ? 'draining' : 'handover';
  if (state.stage === 'prepared') return 'memory';
  return state.stage === 'preparing' ? 'preparing' : 'checking';
}
