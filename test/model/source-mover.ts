import type { SourceState } from '../../src/migration/direct/source/source-state.ts';
import { STEPS, stepIndex } from '../../src/migration/direct/source/steps.ts';
import { canCancel } from '../../src/migration/direct/source/transition.ts';
import { fork, type Context } from './context.ts';
import {
  CANCEL,
  DECIDED,
  DESTINATION_GONE,
  DESTINATION_LOST,
  FAILED,
  RECOVERY_FAILED,
  TAKEN_OVER,
  TAKEN_OVER_REBOOTED,
  TIMEOUT,
  saysEvent,
  saysName,
} from './events.ts';
import { says } from './hypervisors.ts';
import { sourceHandlerMoves } from './source-handlers.ts';
import { continueSwitchover } from './source-qemu.ts';
import { apply, stateOf } from './source-shell.ts';
import { ACT, DEST, EXCUSE, QEMU } from './state.ts';

/** Everything that the source's mover, or somebody who speaks to it, may do next. */
export function sourceMoverMoves(context: Context): void {
  const { world, emit } = context;
  if (world.sdam === 1) return;
  const state = stateOf(context, world);
  if (world.mover === 0) {
    if (state.doing.kind === 'end') return;
    const next = fork(context);
    next.mover = 1;
    next.took = 1;
    apply(context, next, next.rebooted === 1 ? TAKEN_OVER_REBOOTED : TAKEN_OVER);
    emit('step', 'the source’s agent starts a new mover, which reads the journal');
    return;
  }
  if (state.doing.kind === 'end') return;
  hearMoves(context);
  if (world.cont === 1) continueMove(context);
  if (world.rec === 1) recoverMoves(context);
  sourceHandlerMoves(context, state);
  watchMoves(context, state);
  if (canCancel(state)) {
    const next = fork(context);
    apply(context, next, CANCEL);
    emit('ask', 'an operator cancels the migration');
  }
}

function hearMoves(context: Context): void {
  const { world, emit } = context;
  if (world.unheard === 0 || world.sess === 0) return;
  const next = fork(context);
  const word = next.unheard & 15;
  next.unheard >>>= 4;
  apply(context, next, saysEvent(word));
  emit('step', `the source’s mover hears: ${saysName(word)}`);
}

/** The command that the transition asks for when post-copy's switch waits in pre-switchover. */
function continueMove(context: Context): void {
  const { emit } = context;
  const next = fork(context);
  next.cont = 0;
  if (!continueSwitchover(next)) apply(context, next, FAILED.switchover.other);
  emit('step', 'the source’s mover tells QEMU to let the last state go');
  if (context.world.faults === 0) return;
  const late = fork(context);
  late.faults -= 1;
  late.cont = 0;
  late.excuses |= EXCUSE.deadline;
  continueSwitchover(late);
  apply(context, late, FAILED.switchover.deadline);
  emit('fault', 'QEMU lets the last state go, but its answer comes too late');
}

/**
 * Recovery asks the destination to listen anew and connects anew, until it works. As one move: it changes nothing in
 * who may run, and each of its halves may be done twice.
 */
function recoverMoves(context: Context): void {
  const { world, emit } = context;
  const cut = world.dqemu === DEST.postcopyCut || world.dqemu === DEST.postcopyRunningCut;
  const canListen = world.dmover === 1 && world.busy === 0 && world.jd !== 0 && cut;
  if (canListen && context.destination.state(world.jd).right === 'running') {
    const next = fork(context);
    next.rec = 0;
    if (next.qemu === QEMU.postcopyPaused) {
      next.qemu = QEMU.postcopy;
      next.dqemu = next.dqemu === DEST.postcopyCut ? DEST.postcopy : DEST.postcopyRunning;
      says(next, 'postcopy-active');
    }
    emit('step', 'the movers resume the post-copy stream');
  }
  if (world.qemu === QEMU.postcopy || world.qemu === QEMU.completed) {
    const next = fork(context);
    next.rec = 0;
    emit('step', 'the stream flows again already');
  }
  const next = fork(context);
  next.rec = 0;
  next.excuses |= EXCUSE.deadline;
  apply(context, next, RECOVERY_FAILED);
  emit('time', 'recovering the stream takes longer than it may');
}

/** What the watch turns into events: the steering's decision, deadlines, and what it sees at the destination. */
function watchMoves(context: Context, state: SourceState): void {
  const { world, mode, emit } = context;
  if (state.doing.kind !== 'do') return;
  const { step } = state.doing;
  // The stream is looked at only once this mover has heard that it flows.
  const flows = world.sess === 1 && world.act === ACT.idle && state.stream === 'active';
  if (mode === 'hybrid' && step === 'memory' && flows) {
    const next = fork(context);
    apply(context, next, DECIDED);
    emit('ask', 'the steering decides for post-copy');
  }
  if (STEPS[step].endsBy === 'event') {
    const next = fork(context);
    next.excuses |= EXCUSE.deadline;
    apply(context, next, TIMEOUT);
    emit('time', `the time for ${step} is over`);
  }
  const known = state.known.memoryAddress !== undefined && world.jd !== 0;
  const asks = stepIndex(step) > stepIndex('prepare') && stepIndex(step) <= stepIndex('drain');
  if (!known || !asks) return;
  const there = context.destination.state(world.jd);
  const isLost =
    there.hypervisor === 'gone' || there.right === 'refused' || there.stage === 'released';
  if (isLost && world.dmover === 1) {
    const next = fork(context);
    apply(context, next, there.hypervisor === 'gone' ? DESTINATION_GONE : DESTINATION_LOST);
    emit('step', 'the source’s mover asks how the destination is: it cannot go on');
  }
  if (stepIndex(step) < stepIndex('switchover')) {
    const next = fork(context);
    next.excuses |= EXCUSE.deadline;
    apply(context, next, DESTINATION_LOST);
    emit('time', 'the destination has been silent for too long');
  }
}
