import { holdsSwitchover } from '../../src/migration/steering/steering.ts';
import { fork, type Context } from './context.ts';
import { saysNumber, type Says } from './events.ts';
import { DEST, EXCUSE, QEMU, type World } from './state.ts';

/** Both QEMUs as they go by themselves, in the order of events that was measured (docs/drivers/qemu.md). */

/** A full queue holds QEMU up until something is heard: five events are more than any stream says at once. */
const hasRoom = (world: World): boolean => world.unheard < 1 << 16;

/** QEMU says something; heard only where a session listens. */
export function says(world: World, ...words: Says[]): void {
  if (world.mover === 0 || world.sess === 0) return;
  for (const word of words) {
    let shift = 0;
    while (world.unheard >> shift !== 0) shift += 4;
    world.unheard |= saysNumber(word) << shift;
  }
}

export const isDestinationThere = ({ dqemu }: World): boolean =>
  dqemu !== DEST.none && dqemu !== DEST.gone;

const streamNeedsDestination = (world: World): boolean =>
  world.dqemu === DEST.incoming || world.dqemu === DEST.incomingAuto;

export function sourceHypervisorMoves(context: Context): void {
  const { world, emit } = context;
  if (!hasRoom(world)) return;
  switch (world.qemu) {
    case QEMU.active:
    case QEMU.activePc:
      if (streamNeedsDestination(world)) converge(context);
      failMove(context, QEMU.failed);
      if (world.qemu === QEMU.activePc) failMove(context, QEMU.endedStill);
      return;
    case QEMU.preSwitchover:
    case QEMU.preSwitchoverPc:
      failMove(context, QEMU.failedStill);
      if (world.qemu === QEMU.preSwitchoverPc) failMove(context, QEMU.endedStill);
      return;
    case QEMU.device:
      failMove(context, QEMU.failedStill);
      if (world.dqemu === DEST.loaded || world.dqemu === DEST.running) {
        const next = fork(context);
        next.qemu = QEMU.completed;
        says(next, 'completed');
        emit('step', 'the source’s QEMU has handed everything over: completed');
      }
      return;
    case QEMU.devicePc: {
      failMove(context, QEMU.failedStill);
      failMove(context, QEMU.endedStill);
      const next = fork(context);
      next.qemu = QEMU.postcopy;
      says(next, 'postcopy-active');
      emit('step', 'the source’s QEMU has sent the devices: postcopy-active');
      return;
    }
    case QEMU.failedStill:
    case QEMU.cancellingStill:
    case QEMU.cancelling: {
      const next = fork(context);
      if (world.qemu === QEMU.failedStill) next.qemu = QEMU.failed;
      else {
        next.qemu = QEMU.cancelled;
        says(next, 'cancelled');
      }
      emit('step', 'the source’s QEMU runs the guest on by itself');
      return;
    }
    case QEMU.postcopy:
      postcopyMoves(context);
      return;
    default:
  }
}

function converge(context: Context): void {
  const { world, emit } = context;
  const next = fork(context);
  next.qemu = holdsSwitchover(context) ? QEMU.preSwitchover : QEMU.device;
  says(next, holdsSwitchover(context) ? 'pre-switchover' : 'device');
  emit('step', 'memory has converged: the guest stops at the source');
  if (world.qemu !== QEMU.activePc) return;
  const switched = fork(context);
  switched.qemu = QEMU.preSwitchoverPc;
  says(switched, 'pre-switchover');
  emit('step', 'the switch to post-copy begins: the guest stops at the source, pre-switchover');
}

function failMove(context: Context, to: number): void {
  const { world, emit } = context;
  const must = world.dqemu === DEST.gone || world.dqemu === DEST.none;
  if (!must && world.faults === 0) return;
  const next = fork(context);
  if (!must) next.faults -= 1;
  next.qemu = to;
  says(next, 'failed');
  emit(must ? 'step' : 'fault', 'the stream breaks: the source’s QEMU says failed');
}

function postcopyMoves(context: Context): void {
  const { world, emit } = context;
  const { dqemu } = world;
  if (dqemu === DEST.postcopy || dqemu === DEST.postcopyRunning) {
    const next = fork(context);
    next.qemu = QEMU.completed;
    next.dqemu = dqemu === DEST.postcopy ? DEST.loaded : DEST.running;
    says(next, 'completed');
    emit('step', 'the rest of memory has left the source: completed');
  }
  const must = dqemu === DEST.gone || dqemu === DEST.none;
  if (!must && world.faults === 0) return;
  lastWordMoves(context);
  const next = fork(context);
  if (!must) next.faults -= 1;
  next.qemu = QEMU.postcopyPaused;
  if (dqemu === DEST.postcopy) next.dqemu = DEST.postcopyCut;
  if (dqemu === DEST.postcopyRunning) next.dqemu = DEST.postcopyRunningCut;
  if (streamNeedsDestination(world)) {
    // The devices were on their way: nobody can run the guest on, and no mover could have helped it.
    endDestination(next);
    next.excuses |= EXCUSE.destinationGone;
  }
  says(next, 'postcopy-paused');
  emit(must ? 'step' : 'fault', 'the post-copy stream breaks: postcopy-paused');
}

/** Everything has left the source, and the link breaks before the destination has said that it arrived. */
function lastWordMoves(context: Context): void {
  const { world, emit } = context;
  const { dqemu } = world;
  if (world.faults === 0 || (dqemu !== DEST.postcopy && dqemu !== DEST.postcopyRunning)) return;
  const runs = dqemu === DEST.postcopyRunning;
  const arrived = fork(context);
  arrived.faults -= 1;
  arrived.qemu = QEMU.failedGiven;
  arrived.dqemu = runs ? DEST.running : DEST.loaded;
  says(arrived, 'failed');
  emit('fault', 'the last word of post-copy is lost, though all memory arrived: failed');
  const lost = fork(context);
  lost.faults -= 1;
  lost.excuses |= EXCUSE.lastWord;
  lost.qemu = QEMU.failedGiven;
  lost.dqemu = runs ? DEST.postcopyRunningCut : DEST.postcopyCut;
  says(lost, 'failed');
  emit(
    'fault',
    'the last of memory is lost with the link, and QEMU does not send it again: failed',
  );
}

/** Its process is gone; the mover hears of it where it holds a session. */
export function endDestination(world: World): void {
  if (world.dqemu === DEST.none) return;
  world.dqemu = DEST.gone;
  if (world.dmover === 1 && world.dsess === 1) world.dlost = 1;
}

export function destinationHypervisorMoves(context: Context): void {
  const { world, emit } = context;
  const { dqemu, qemu } = world;
  const waits = dqemu === DEST.incoming || dqemu === DEST.incomingAuto;
  if (waits && qemu === QEMU.device) {
    const next = fork(context);
    arrive(next, DEST.loaded, DEST.running);
    emit('step', 'the destination’s QEMU has everything');
  }
  if (waits && (qemu === QEMU.devicePc || qemu === QEMU.postcopy)) {
    const next = fork(context);
    arrive(next, DEST.postcopy, DEST.postcopyRunning);
    emit('step', 'the destination’s QEMU has the devices, and takes pages as it needs them');
  }
  if (waits && isStreamOver(qemu)) {
    const next = fork(context);
    endDestination(next);
    emit('step', 'the destination’s QEMU ends: its stream has broken');
  }
  const flows = [QEMU.postcopy, QEMU.completed, QEMU.devicePc] as readonly number[];
  const cut = !flows.includes(qemu);
  if (cut && (dqemu === DEST.postcopy || dqemu === DEST.postcopyRunning)) {
    const next = fork(context);
    next.dqemu = dqemu === DEST.postcopy ? DEST.postcopyCut : DEST.postcopyRunningCut;
    emit('step', 'the destination’s QEMU notices that its stream is cut');
  }
}

function arrive(world: World, paused: number, running: number): void {
  if (world.dqemu === DEST.incomingAuto) {
    world.dqemu = running;
    world.ran = 1;
  } else world.dqemu = paused;
}

function isStreamOver(qemu: number): boolean {
  return (
    qemu === QEMU.failedStill ||
    qemu === QEMU.failed ||
    qemu === QEMU.cancelled ||
    qemu === QEMU.cancelling ||
    qemu === QEMU.cancellingStill ||
    qemu === QEMU.gone ||
    qemu === QEMU.postcopyPaused ||
    qemu === QEMU.endedStill ||
    qemu === QEMU.failedGiven ||
    qemu === QEMU.resumed ||
    qemu === QEMU.anew
  );
}
