import { defined } from '../../../protocol/defined.ts';
import type { SideView } from '../../../protocol/public/resolve.ts';
import { neverRanThere } from '../source/resolve.ts';
import { knowsItNeverRan } from '../run-right.ts';
import type { DestinationState } from '../destination/destination.ts';
import type { HypervisorStatus } from '../hypervisor.ts';
import { isCold } from '../cold.ts';
import type { SourceState } from '../source/source-state.ts';

export type Facts = Pick<
  SideView,
  'right' | 'hypervisor' | 'complete' | 'postcopy' | 'unsure' | 'epoch' | 'hasRun' | 'uuid'
>;

/** `hypervisor`: its fresh status; `unknown` if it lives and was not asked. */
export function sourceFacts(
  state: SourceState | undefined,
  run: HypervisorStatus['run'] | 'unknown',
): Facts {
  const hypervisor = sourceWord(state, run);
  const handed = state?.stream === 'done' || hypervisor === 'handed-over';
  return {
    right: state?.right ?? 'held',
    hypervisor,
    complete: handed && hypervisor !== 'running',
    postcopy: state?.via === 'postcopy',
    unsure: false,
    ...defined({
      epoch: state?.plan.epoch,
      neverRanThere: state !== undefined && neverRanThere(state) ? (true as const) : undefined,
    }),
    ...named(state?.known.description?.uuid),
  };
}

/** A guest that shut down for a cold move is entirely on its disks, with or without its hypervisor. */
function sourceWord(
  state: SourceState | undefined,
  run: HypervisorStatus['run'] | 'unknown',
): SideView['hypervisor'] {
  const moves = state !== undefined && isCold(state) && state.stopped;
  if (run === 'shut-down') return moves ? 'handed-over' : 'paused';
  return moves && run === 'gone' ? 'handed-over' : run;
}

export interface DestinationSight {
  /** Life of its hypervisor; only `gone` proves that nothing runs. */
  readonly life: 'alive' | 'gone' | 'unknown';
  readonly armedBootId: string | undefined;
  readonly bootId: string;
}

/**
 * The journal holds the hypervisor's reports, and the caller finds out whether it lives. A destination that was armed
 * in an earlier boot may have lost the record that it ran, so it is unsure.
 */
export function destinationFacts(
  state: DestinationState | undefined,
  sight: DestinationSight,
): Facts {
  if (state === undefined) {
    return { right: 'none', hypervisor: 'none', complete: false, postcopy: false, unsure: false };
  }
  const { handle, hypervisor: reported, streamFailed, right, unsure, admission, hasRun } = state;
  const { life, armedBootId, bootId } = sight;
  const kept = state.stage === 'preparing' || state.stage === 'prepared' || right === 'running';
  const hypervisor = !kept || handle === undefined ? 'none' : wordFor(state, life);
  return {
    right,
    hypervisor,
    complete:
      life === 'alive' && !streamFailed && (reported === 'paused' || reported === 'running'),
    postcopy: reported === 'postcopy' || reported === 'postcopy-paused',
    unsure: unsure || (right === 'armed' && !knowsItNeverRan(right, armedBootId, bootId)),
    hasRun,
    epoch: admission.epoch,
    ...named(state.preparation?.description.uuid),
  };
}

function named(uuid: string | undefined): { uuid?: string } {
  return uuid === undefined ? {} : { uuid };
}

/** A failed stream or a silent mover does not prove that a live hypervisor has ended. */
function wordFor(
  { hypervisor, streamFailed }: DestinationState,
  life: DestinationSight['life'],
): SideView['hypervisor'] {
  if (life !== 'alive') return life;
  if (streamFailed) return 'unknown';
  switch (hypervisor) {
    case 'postcopy':
    case 'postcopy-paused':
    case 'running':
      return 'running';
    case 'none':
    case 'incoming':
    case 'paused':
      return hypervisor;
    case 'gone':
      return 'unknown';
  }
}
