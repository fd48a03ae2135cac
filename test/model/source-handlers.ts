import { decide } from '../../src/migration/direct/decide.ts';
import type { StepAction } from '../../src/migration/direct/decide.ts';
import type { HypervisorStatus } from '../../src/migration/direct/hypervisor.ts';
import type { SourceState } from '../../src/migration/direct/source-state.ts';
import type { StepName } from '../../src/migration/direct/steps.ts';
import { breakRule, fork } from './context.ts';
import type { Context } from './context.ts';
import { saysEvent, saysNumber } from './events.ts';
import { says } from './hypervisors.ts';
import { callMoves } from './source-calls.ts';
import {
  apply,
  callOf,
  did,
  fails,
  continueSwitchover,
  openSession,
  send,
  stateOf,
} from './source-shell.ts';
import { cancellingMoves, resumeMoves, runOnMoves, undoMoves } from './source-undo.ts';
import { ACT, DEST, EXCUSE, QEMU } from './state.ts';
import type { World } from './state.ts';

/** How the source's mover does each step (src/mover/direct/source/lifecycle.ts). */

export function sourceHandlerMoves(context: Context, state: SourceState): void {
  const { world } = context;
  if (state.doing.kind === 'end' || state.doing.kind === 'restart') return;
  if (world.act === ACT.call) return callMoves(context, state);
  if (world.act === ACT.cancelling) return cancellingMoves(context);
  if (world.act === ACT.resume) return resumeMoves(context);
  if (world.act === ACT.runOn) return runOnMoves(context);
  if (world.act !== ACT.begin) return;
  if (state.doing.kind === 'do') return doMoves(context, state, state.doing.step);
  undoMoves(context, state.doing.step);
}

function doMoves(context: Context, state: SourceState, step: StepName): void {
  const { emit } = context;
  switch (step) {
    case 'admit':
    case 'prepare':
    case 'arm':
    case 'commit':
    case 'finish': {
      const next = fork(context);
      send(next, callOf(state));
      emit('step', `the source’s mover sends ${step}`);
      return;
    }
    case 'seed':
    case 'mirror':
      throw new Error('the model’s guest has no disk of its own');
    case 'inspect':
    case 'configure':
      // Reading the guest and setting its stream do not touch who may run: done, or failed.
      withSession(context, step, (next) => did(context, next, step));
      failMove(context, step);
      return;
    case 'assess': {
      const next = fork(context);
      did(context, next, step);
      emit('step', 'the destination finds that it can take the guest');
      failMove(context, step);
      return;
    }
    case 'memory':
      withSession(context, step, (next) => startMemory(context, next));
      failMove(context, step);
      return;
    case 'switchover':
      withSession(context, step, (next) => switchOver(context, next));
      lateFailMove(context, (next) => switchOver(context, next));
      failMove(context, step);
      return;
    case 'drain':
      return drainMoves(context);
    case 'verify':
      verifyMoves(context);
      return;
    case 'retire': {
      const next = fork(context);
      next.qemu = QEMU.gone;
      next.sess = 0;
      next.unheard = 0;
      did(context, next, step);
      emit('step', 'the source’s QEMU is ended');
      return;
    }
  }
}

/** The stream's events end it. Where it has failed, or QEMU has ended, the destination is asked (drain.ts). */
function drainMoves(context: Context): void {
  const { world, emit } = context;
  const { stream } = stateOf(context, world);
  const next = fork(context);
  const isThere = openSession(next);
  if (isThere && stream !== 'failed' && stream !== 'lost') {
    next.act = ACT.idle;
    emit('step', 'the source’s mover waits for the stream’s end');
    return;
  }
  if (world.dmover === 1 && world.jd !== 0) {
    // Its word is `running` once its QEMU has said that it has everything.
    if (world.dqemu === DEST.running) {
      next.act = ACT.idle;
      apply(context, next, saysEvent(saysNumber('completed')));
      emit('step', 'the destination has all memory, though the stream broke');
    } else {
      fails(context, next, 'lost');
      emit('step', 'the destination has not all memory, and the stream is broken for good');
    }
  }
  const late = fork(context);
  openSession(late);
  late.excuses |= EXCUSE.deadline;
  fails(context, late, 'deadline');
  emit('time', 'drain gets no answer in time');
}

/** What needs QEMU: done, or failed because its process has ended. */
function withSession(context: Context, step: StepName, work: (next: World) => void): void {
  const next = fork(context);
  if (openSession(next)) work(next);
  else fails(context, next, 'gone');
  context.emit('step', `the source’s mover does ${step}`);
}

function failMove(context: Context, step: StepName): void {
  const { world, emit } = context;
  if (world.faults === 0) return;
  const next = fork(context);
  next.faults -= 1;
  next.excuses |= EXCUSE.deadline;
  fails(context, next, 'other');
  emit('fault', `${step} fails before it has done anything`);
}

/** It worked, and its answer came too late or not at all. */
function lateFailMove(context: Context, work: (next: World) => void): void {
  const { world, emit } = context;
  if (world.faults === 0) return;
  const next = fork(context);
  next.faults -= 1;
  if (!openSession(next)) return;
  work(next);
  next.excuses |= EXCUSE.deadline;
  const { doing } = stateOf(context, next);
  if (doing.kind !== 'do') return;
  fails(context, next, 'deadline');
  emit('fault', `${doing.step} is done, but QEMU’s answer comes too late`);
}

function startMemory(context: Context, next: World): void {
  next.act = ACT.idle;
  const action = actionOf(context, next, 'memory');
  if (action === 'broken') return fails(context, next, 'broken');
  if (action === 'wait') return;
  if (next.qemu === QEMU.gone) return fails(context, next, 'gone');
  next.qemu = QEMU.active;
  says(next, 'active');
}

function switchOver(context: Context, next: World): void {
  next.act = ACT.idle;
  const action = actionOf(context, next, 'switchover');
  if (action === 'broken') return fails(context, next, 'broken');
  if (action === 'wait') return;
  if (next.qemu === QEMU.gone) return fails(context, next, 'gone');
  if (action === 'continue-switchover' && !continueSwitchover(next))
    return fails(context, next, 'other');
  // In any other state the order is taken and has no effect: pre-copy has won, or the stream has ended.
  if (action === 'start-postcopy' && next.qemu === QEMU.active) next.qemu = QEMU.activePc;
}

/** As `actionOf` of the real handlers: who has just begun the step knows where the stream stands, any other asks. */
function actionOf(context: Context, next: World, step: 'memory' | 'switchover'): StepAction {
  const state = stateOf(context, next);
  const isFirst = next.took === 0 && state.attempts === 0;
  return decide(state, step, isFirst ? undefined : STREAM[next.qemu]);
}

/** What QEMU answers to the question for its stream. */
const STREAM: Readonly<Record<number, HypervisorStatus['stream']>> = {
  [QEMU.idle]: 'none',
  [QEMU.active]: 'active',
  [QEMU.activePc]: 'active',
  [QEMU.preSwitchover]: 'pre-switchover',
  [QEMU.preSwitchoverPc]: 'pre-switchover',
  [QEMU.device]: 'device',
  [QEMU.devicePc]: 'device',
  [QEMU.failedStill]: 'failed',
  [QEMU.failed]: 'failed',
  [QEMU.cancelled]: 'cancelled',
  [QEMU.cancelling]: 'active',
  [QEMU.cancellingStill]: 'active',
  [QEMU.completed]: 'completed',
  [QEMU.postcopy]: 'postcopy-active',
  [QEMU.postcopyPaused]: 'postcopy-paused',
  [QEMU.gone]: 'none',
  [QEMU.resumed]: 'completed',
  [QEMU.endedStill]: 'failed',
  [QEMU.failedGiven]: 'failed',
};

/** Looks at QEMU here and asks the destination how it is; reading alone, so both are one move. */
function verifyMoves(context: Context): void {
  const { world, emit } = context;
  const next = fork(context);
  // A QEMU that has ended does not run the guest: only the destination is asked then.
  openSession(next);
  if (world.dmover === 1 && world.jd !== 0) {
    const { hypervisor, stage } = context.destination.state(world.jd);
    const gone = hypervisor === 'gone';
    if (gone) fails(context, next, 'lost');
    else did(context, next, 'verify');
    // Where its mover hears of it a moment later, nothing could be known yet; once settled, it is the guest's own end.
    if (!gone && stage !== 'finished' && world.dqemu === DEST.gone && world.dlost === 0) {
      breakRule(
        next,
        'the source found all well though the destination’s QEMU had ended and nothing would ever say so',
      );
    }
    emit('step', gone ? 'verify finds the destination’s QEMU gone' : 'verify finds all well');
  }
  const late = fork(context);
  openSession(late);
  late.excuses |= EXCUSE.deadline;
  fails(context, late, 'deadline');
  emit('time', 'verify gets no answer in time');
}
