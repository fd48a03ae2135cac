import { godwitError, type SerialError } from '../../errors.ts';
import type { MemorySample } from '../../protocol/public/migration.ts';
import { DECISION_WORDS } from '../steering/steering.ts';
import { strategyOf } from '../steering/strategies.ts';
import { afterFailure, afterMeasure, afterRound } from '../steering/trace.ts';
import type { ManagedEvent } from './events.ts';
import type { ManagedState } from './state.ts';

/** Applies steering decisions to a manager's task. Pure. */

export type DecidedEvent = Extract<ManagedEvent, { type: 'decided' }>;

export function afterLook(state: ManagedState, sample: MemorySample | undefined): ManagedState {
  if (sample === undefined) return state;
  return { ...state, sample, steering: afterRound(state.steering, sample) };
}

export function afterDecision(
  state: ManagedState,
  { what, why, change }: DecidedEvent,
): ManagedState {
  const steering = afterMeasure(state.steering, `${DECISION_WORDS[what]}: ${why}`, change);
  return { ...state, steering, ...(what === 'postcopy' ? { via: 'postcopy' } : {}) };
}

/** Forgets a decision that was not applied, so that it may be taken again. */
export function afterUnset(state: ManagedState, error: SerialError): ManagedState {
  const { via, steering, ...rest } = state;
  if (steering === undefined) return state;
  const words = `${steering.last ?? 'what was decided'}; its manager did not: ${error.message}`;
  return {
    ...rest,
    steering: afterFailure(steering, words.slice(0, 1024), via === 'postcopy'),
  };
}

export function givenUp({ plan }: ManagedState, { why, hint }: DecidedEvent): SerialError {
  const facts = { guest: plan.guest, strategy: strategyOf(plan.settings).name, reason: why };
  return godwitError('GODWIT_GIVEN_UP', facts, hint === undefined ? {} : { hint }).toJSON();
}
