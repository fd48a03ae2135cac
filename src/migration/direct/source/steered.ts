import { godwitError, type SerialError } from '../../../errors.ts';
import { DECISION_WORDS } from '../../steering/steering.ts';
import { strategyOf } from '../../steering/strategies.ts';
import { afterFailure, afterMeasure, afterRound } from '../../steering/trace.ts';
import type { MemorySample } from '../../../protocol/public/migration.ts';
import { beginUndo, enter, stay } from './state-changes.ts';
import type { SourceEffect, SourceEvent, SourceState, Transition } from './source-state.ts';

/** Applies steering decisions. Pure. */

/** At a takeover the last decision may not have been applied. */
export function steeringAnew({ doing, steering }: SourceState): SourceEffect[] {
  const inMemory = doing.kind === 'do' && doing.step === 'memory';
  const isSet = steering?.downtimeMs !== undefined || steering?.throttlePercent !== undefined;
  return inMemory && isSet ? [{ type: 'steer' }] : [];
}

export function measured(state: SourceState, sample: MemorySample, final: boolean): Transition {
  const next = { ...state, sample };
  const inMemory = state.doing.kind === 'do' && state.doing.step === 'memory';
  if (final || !inMemory) return stay(next);
  return stay({ ...next, steering: afterRound(state.steering, sample) });
}

export function onSteered(
  state: SourceState,
  event: Extract<SourceEvent, { type: 'decided' | 'unset' | 'capped' }>,
): Transition {
  switch (event.type) {
    case 'decided':
      return onDecided(state, event);
    case 'unset':
      return onUnset(state, event.error);
    case 'capped':
      return onCapped(state, event.bytesPerS);
  }
}

function onCapped(state: SourceState, bytesPerS: number): Transition {
  const least = Math.min(state.capped?.least ?? Infinity, bytesPerS || Infinity);
  const known = Number.isFinite(least) ? { least } : {};
  return stay({ ...state, capped: { now: bytesPerS, ...known } });
}

/** Forgets a decision that could not be applied, so that it may be taken again. */
function onUnset(state: SourceState, error: SerialError): Transition {
  const { steering } = state;
  if (steering === undefined) return stay(state);
  const words = `${steering.last ?? 'what was decided'}; it could not be set: ${error.message}`;
  return stay({ ...state, steering: afterFailure(steering, words.slice(0, 1024)) });
}

function onDecided(
  state: SourceState,
  event: Extract<SourceEvent, { type: 'decided' }>,
): Transition {
  const inMemory = state.doing.kind === 'do' && state.doing.step === 'memory';
  // A stopped guest is already being switched over by pre-copy, so the decision is too late.
  if (!inMemory || state.stopped) return stay(state);
  const { what, why, change } = event;
  const steering = afterMeasure(state.steering, `${DECISION_WORDS[what]}: ${why}`, change);
  switch (what) {
    case 'slow-writes':
      return stay(state);
    case 'postcopy':
      return enter({ ...state, steering, via: 'postcopy' }, 'switchover');
    case 'downtime':
    case 'throttle':
      return { state: { ...state, steering }, effects: [{ type: 'steer' }] };
    case 'give-up': {
      const { guest, settings } = state.plan;
      const facts = { guest, strategy: strategyOf(settings).name, reason: why };
      const hint = event.hint === undefined ? {} : { hint: event.hint };
      const error = godwitError('GODWIT_GIVEN_UP', facts, hint).toJSON();
      return beginUndo({ ...state, steering }, 'memory', error);
    }
  }
}
