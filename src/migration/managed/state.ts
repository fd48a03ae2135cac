import type { SerialError } from '../../errors.ts';
import type {
  Check,
  MemorySample,
  MigrationSettings,
  Report,
} from '../../protocol/public/migration.ts';
import type { ProbeReport } from '../../protocol/public/probe.ts';
import type { Doing } from '../engine/rows.ts';
import type { GuestSnapshot } from '../guest-changes/snapshot.ts';
import type { SteeringTrace } from '../steering/trace.ts';
import type { ManagedPlanned, StepName } from './events.ts';
import type { CopiedDisk, TaskFigures } from './task-sight.ts';

export interface ManagedState {
  readonly plan: Omit<ManagedPlanned, 'type' | 'askedAtMs' | 'prediction'> & {
    readonly settings: MigrationSettings;
  };
  readonly doing: Doing<StepName, 'prepare'>;
  readonly beganAtMs?: number;
  /** The guest at its inspection; absent if its driver reads none. */
  readonly snapshot?: GuestSnapshot;
  readonly copies: readonly CopiedDisk[];
  readonly takesBack: boolean;
  /** `unsure`: a call was abandoned and may still make something. */
  readonly prepared: 'no' | 'yes' | 'unsure';
  /** `settled`: it was not answered, and can no longer start a task. */
  readonly order: 'none' | 'sent' | 'settled' | 'accepted';
  /** `forgotten`: it began or may have begun, and the manager lists none. */
  readonly task: 'unseen' | 'running' | 'done' | 'failed' | 'cancelled' | 'forgotten';
  readonly percent: number | undefined;
  readonly postcopy: boolean;
  /** Last recorded sample of memory; absent if the manager does not report it. */
  readonly sample?: MemorySample;
  readonly steering?: SteeringTrace;
  readonly via?: 'postcopy';
  readonly figures: TaskFigures;
  /** Consecutive reports of no task since the order may have started one. */
  readonly missed: number;
  readonly cancelling: boolean;
  readonly attempts: number;
  readonly atRest: number;
  /** Only the source reports the guest at the destination, which did not answer. */
  readonly unseen?: boolean;
  readonly vouched?: 'source' | 'destination';
  readonly memoryBytes: number | undefined;
  readonly checks: readonly Check[];
  readonly verified: readonly Check[];
  readonly vantages: readonly ProbeReport[];
  readonly because: SerialError | undefined;
  readonly leftovers: readonly SerialError[];
}

/** True while a host may ask about it or an operator may decide. */
export function managedMayBeAsked(state: ManagedState | undefined): boolean {
  if (state === undefined) return false;
  return state.doing.kind !== 'end' || state.doing.outcome === 'held';
}

/** Known place of the guest; never a guess. */
export function managedRunsAt({ doing, order, because }: ManagedState): Report['runsAt'] {
  if (doing.kind === 'do') {
    if (doing.step === 'finish') return 'destination';
    return order === 'none' ? 'source' : 'unknown';
  }
  if (because?.code === 'GODWIT_GUEST_ENDED') return 'nowhere';
  if (doing.kind === 'undo') return 'source';
  if (doing.outcome === 'done') return 'destination';
  return doing.outcome === 'held' ? 'unknown' : 'source';
}
