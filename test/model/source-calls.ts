import type { SourceState } from '../../src/migration/direct/source-state.ts';
import { fork } from './context.ts';
import type { Context } from './context.ts';
import { UNDID } from './events.ts';
import type { ErrorName } from './events.ts';
import { apply, callOf, did, fails, stateOf } from './source-shell.ts';
import { ACT, EXCUSE, LIVE } from './state.ts';
import type { World } from './state.ts';

/** How the source's mover waits for the destination's answers (src/mover/direct/source/peer.ts): again and again, for a time. */

const ANSWERS: Readonly<Record<number, ErrorName>> = {
  [LIVE.notArmed]: 'notArmed',
  [LIVE.held]: 'held',
  [LIVE.gone]: 'gone',
  [LIVE.error]: 'other',
};

export function callMoves(context: Context, state: SourceState): void {
  const { world, emit } = context;
  const call = callOf(state);
  if (world.live === LIVE.ok) {
    const next = fork(context);
    answered(context, next, state);
    emit('step', `the answer to ${call} arrives: done`);
  }
  const error = ANSWERS[world.live];
  if (error !== undefined) {
    const next = fork(context);
    refusedWith(context, next, error);
    emit('step', `the answer to ${call} arrives: ${error}`);
  }
  if (world.live === LIVE.unknown) {
    const next = fork(context);
    const isRelease = state.doing.kind === 'undo' && state.doing.step === 'admit';
    // Nothing is left there to release; of anything else it is no word at all.
    if (isRelease || context.rules.unknownIsLeave) answered(context, next, state);
    else refusedWith(context, next, 'other');
    emit('step', `the answer to ${call} arrives: unknown`);
  }
  const tries = isRepeated(state);
  if (tries && world.live !== LIVE.sent) {
    const next = fork(context);
    next.live = LIVE.sent;
    emit('net', `the connection breaks; the source’s mover sends ${call} once more`);
  }
  if (!tries) {
    const next = fork(context);
    next.live = LIVE.none;
    refusedWith(context, next, 'unreachable');
    emit('time', `no answer to ${call}`);
  }
  const next = fork(context);
  next.excuses |= EXCUSE.deadline;
  deadline(context, next, state);
  emit('time', `${call} gets no answer in time`);
}

/** Whether a call is made again where no answer comes: all but the first, and a refusal that is only welcome. */
function isRepeated({ doing, right }: SourceState): boolean {
  if (doing.kind === 'do') return doing.step !== 'admit';
  return doing.kind !== 'undo' || doing.step !== 'arm' || right === 'committing';
}

function answered(context: Context, next: World, state: SourceState): void {
  next.live = LIVE.none;
  next.act = ACT.idle;
  if (state.doing.kind === 'do') return did(context, next, state.doing.step);
  if (state.doing.kind !== 'undo') return;
  const { step } = state.doing;
  if (step !== 'memory' && step !== 'switchover') return apply(context, next, UNDID[step]);
  if (context.rules.sourceMayResume(state.right, true)) next.act = ACT.resume;
  else fails(context, next, 'held');
}

/** Whatever keeps the refusal away while the guest is taken back, the answer is to hold. */
function refusedWith(context: Context, next: World, error: ErrorName): void {
  const { doing } = stateOf(context, next);
  next.live = LIVE.none;
  const regains = doing.kind === 'undo' && (doing.step === 'memory' || doing.step === 'switchover');
  fails(context, next, regains ? 'held' : error);
}

function deadline(context: Context, next: World, state: SourceState): void {
  next.live = LIVE.none;
  const { doing, right } = state;
  const regains = doing.kind === 'undo' && (doing.step === 'memory' || doing.step === 'switchover');
  // The shell does not ask; a source that would resume without the word is what a mutant is made of.
  if (regains && context.rules.sourceMayResume(right, false)) next.act = ACT.resume;
  else if (regains) fails(context, next, 'held');
  else fails(context, next, 'deadline');
}
