import type { StepName } from '../../src/migration/direct/steps.ts';
import { fork } from './context.ts';
import type { Context } from './context.ts';
import { UNDID } from './events.ts';
import { apply, fails, openSession, resumeGuest, send, stateOf } from './source-shell.ts';
import { ACT, EXCUSE, QEMU, handedOver } from './state.ts';
import type { World } from './state.ts';

/** How the source's mover undoes each step (src/mover/direct/source/lifecycle.ts, and the driver's `cancel`). */

export function undoMoves(context: Context, step: StepName): void {
  const { world, emit } = context;
  const next = fork(context);
  const undone = (): void => apply(context, next, UNDID[step]);
  switch (step) {
    case 'admit':
      if (world.jd === 0) undone();
      else send(next, 'release');
      break;
    case 'arm':
      send(next, 'refuse');
      break;
    case 'memory':
    case 'switchover':
      if (!openSession(next)) fails(context, next, 'gone');
      else takeBack(next);
      break;
    default:
      if (openSession(next)) undone();
      else fails(context, next, 'gone');
  }
  emit('step', `the source’s mover undoes ${step}`);
}

/** The driver's cancel: at once where nothing is under way, else QEMU is told and waited for. */
function takeBack(next: World): void {
  switch (next.qemu) {
    case QEMU.active:
    case QEMU.activePc:
      next.qemu = QEMU.cancelling;
      break;
    case QEMU.preSwitchover:
    case QEMU.preSwitchoverPc:
    case QEMU.device:
    case QEMU.devicePc:
      next.qemu = QEMU.cancellingStill;
      break;
    default:
  }
  next.act = ACT.cancelling;
}

export function cancellingMoves(context: Context): void {
  const { world, emit } = context;
  const state = stateOf(context, world);
  if (state.doing.kind !== 'undo') return;
  // A stream that failed looks the same from here, whether or not everything was given before.
  const brokeOff = world.qemu === QEMU.endedStill || world.qemu === QEMU.failedGiven;
  if (brokeOff && context.rules.sourceMayRunOn(state.right)) {
    const next = fork(context);
    next.act = ACT.runOn;
    emit('step', 'the stream broke with the guest standing still, and no commit was sent');
    return;
  }
  if (handedOver(world) || brokeOff) {
    const next = fork(context);
    // What stands for the destination's word is in hand already.
    if (state.proof !== 'none') {
      if (world.qemu !== QEMU.completed) {
        fails(context, next, 'held');
        emit('step', 'post-copy had begun, and the destination may have run the guest for a while');
        return;
      }
      next.act = ACT.resume;
      emit('step', 'everything was handed over, and the destination is known not to run it');
      return;
    }
    send(next, 'refuse');
    emit('step', 'everything was handed over: the source’s mover asks for the refusal');
    return;
  }
  const next = fork(context);
  if (isSettled(world)) {
    apply(context, next, UNDID[state.doing.step]);
    emit('step', 'the stream is taken back');
    return;
  }
  next.excuses |= EXCUSE.deadline;
  fails(context, next, 'deadline');
  emit('time', 'QEMU does not say in time that the stream is cancelled');
}

/** Nobody but the mover has it go on. */
export function runOnMoves(context: Context): void {
  const { emit, world } = context;
  const state = stateOf(context, world);
  if (state.doing.kind !== 'undo') return;
  const next = fork(context);
  if (next.qemu === QEMU.gone) fails(context, next, 'gone');
  else {
    next.qemu = QEMU.cancelled;
    apply(context, next, UNDID[state.doing.step]);
  }
  emit('step', 'the source’s mover has the guest go on');
}

const isSettled = ({ qemu }: World): boolean =>
  qemu === QEMU.idle ||
  qemu === QEMU.failed ||
  qemu === QEMU.cancelled ||
  qemu === QEMU.resumed ||
  qemu === QEMU.gone;

export function resumeMoves(context: Context): void {
  const { emit } = context;
  const state = stateOf(context, context.world);
  if (state.doing.kind !== 'undo') return;
  const next = fork(context);
  resumeGuest(context, next);
  if (next.qemu === QEMU.gone) fails(context, next, 'gone');
  else apply(context, next, UNDID[state.doing.step]);
  emit('step', 'the source’s mover resumes the guest');
}
