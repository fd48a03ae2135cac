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

/** What is known of a managed migration. Pure. */

export interface ManagedState {
  readonly plan: Omit<ManagedPlanned, 'type' | 'askedAtMs' | 'prediction'> & {
    readonly settings: MigrationSettings;
  };
  readonly doing: Doing<StepName, 'prepare'>;
  /** When it began, wall clock, where it has waited for that. */
  readonly beganAtMs?: number;
  /** The guest as it was inspected, to be compared with later; absent if its driver reads none. */
  readonly snapshot?: GuestSnapshot;
  /** Disks that go along as copies. */
  readonly copies: readonly CopiedDisk[];
  /** Its driver takes back what an order of its manager may leave at the destination. */
  readonly takesBack: boolean;
  /** Whether something was made for them. `unsure`: a call was given up, which may still make something. */
  readonly prepared: 'no' | 'yes' | 'unsure';
  /** What is known of the one order. `settled`: it was not answered, and can begin nothing any more. */
  readonly order: 'none' | 'sent' | 'settled' | 'accepted';
  /** What became of the task. `forgotten`: it began or may have, and the manager knows of none. */
  readonly task: 'unseen' | 'running' | 'done' | 'failed' | 'cancelled' | 'forgotten';
  readonly percent: number | undefined;
  /** Its task has been in post-copy. */
  readonly postcopy: boolean;
  /** How its memory went over when that was written down last; absent where the manager does not say. */
  readonly sample?: MemorySample;
  /** What the steering has seen and done. */
  readonly steering?: SteeringTrace;
  /** Post-copy was decided, and the task is not in it yet. */
  readonly via?: 'postcopy';
  /** What the manager has said so far of how much and how long. */
  readonly figures: TaskFigures;
  /** Answers in a row that there is no task, since the order can have begun one. */
  readonly missed: number;
  /** The manager was asked to end the task. */
  readonly cancelling: boolean;
  readonly attempts: number;
  /** Answers in a row that the guest is at the source and at rest. */
  readonly atRest: number;
  /** Only its source has said that the guest is at the destination, which did not answer. */
  readonly unseen?: boolean;
  /** The operator reported that the guest runs there, while its manager did not. */
  readonly vouched?: 'source' | 'destination';
  readonly memoryBytes: number | undefined;
  readonly checks: readonly Check[];
  readonly verified: readonly Check[];
  readonly vantages: readonly ProbeReport[];
  readonly because: SerialError | undefined;
  /** What could not be tidied. */
  readonly leftovers: readonly SerialError[];
}

/** Whether somebody may still ask about it or decide on it: such a migration is never forgotten. */
export function managedMayBeAsked(state: ManagedState | undefined): boolean {
  if (state === undefined) return false;
  return state.doing.kind !== 'end' || state.doing.outcome === 'held';
}

/** Where the guest runs, as far as is known: never a guess. */
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
