import { fork, type Context } from './context.ts';
import { endDestination, isDestinationThere, says } from './hypervisors.ts';
import { ACT, BUSY, EXCUSE, LIVE, QEMU, type World } from './state.ts';

/** Boots that a destination may go through: `armed` is distinguished by the boot it was written in. */
const MAX_BOOTS = 3;

/** What may die, in any state, as often as the bound on faults allows. */
export function faultMoves(context: Context): void {
  catchUpMoves(context);
  if (context.world.faults === 0) return;
  moverDeaths(context);
  damages(context);
  monitorOutOfReach(context);
  hypervisorDeaths(context);
  powerLosses(context);
}

function fault(context: Context): World {
  const next = fork(context);
  next.faults -= 1;
  return next;
}

/** The disk has caught up with what was written without waiting for it. */
function catchUpMoves(context: Context): void {
  const { world, source, destination, emit } = context;
  if (source.synced(world.js) !== world.js) {
    const next = fork(context);
    next.js = source.synced(world.js);
    emit('step', 'the source’s journal reaches the disk');
  }
  if (destination.synced(world.jd) !== world.jd) {
    const next = fork(context);
    next.jd = destination.synced(world.jd);
    emit('step', 'the destination’s journal reaches the disk');
  }
}

function moverDeaths(context: Context): void {
  const { world, source, emit } = context;
  if (world.mover === 1 && source.state(world.js).doing.kind !== 'end') {
    const next = fault(context);
    endSourceMover(next);
    emit('fault', 'the source’s mover is killed');
  }
  if (world.dmover === 1) {
    const next = fault(context);
    endDestinationMover(next);
    emit('fault', 'the destination’s mover is killed');
  }
}

/** Another byte stands in a record that was synced, and a mover comes to read it. What it does then is its own code's. */
function damages(context: Context): void {
  const { world, rules, source, destination, emit } = context;
  const isHeld = rules.damaged === 'holds';
  if (world.sdam === 0 && source.state(world.js).doing.kind !== 'end') {
    const left = isHeld ? world.js : source.withoutLast(world.js);
    if (left !== undefined) {
      const next = fault(context);
      endSourceMover(next);
      next.excuses |= EXCUSE.damaged;
      next.js = left;
      next.sdam = isHeld ? 1 : 0;
      emit('fault', 'the source’s mover is killed, and its journal is damaged');
    }
  }
  if (world.jd === 0 || world.ddam === 1 || world.forgot === 1) return;
  const left = isHeld ? world.jd : destination.withoutLast(world.jd);
  if (left === undefined) return;
  const next = fault(context);
  endDestinationMover(next);
  next.excuses |= EXCUSE.damaged;
  next.jd = left;
  next.ddam = isHeld ? 1 : 0;
  emit('fault', 'the destination’s mover is killed, and its journal is damaged');
}

/** Its process lives. What the mover reports of it then is what its own code reports. */
function monitorOutOfReach(context: Context): void {
  const { world, rules, emit } = context;
  // Of one that is waited for nothing changes, but that all is later, which it may be in any case.
  if (rules.unreachable === 'nothing') return;
  if (world.sess === 0 || world.qemu === QEMU.gone || world.unheard >= 1 << 16) return;
  const next = fault(context);
  says(next, 'lost');
  emit('fault', 'the monitor of the source’s QEMU cannot be reached for a while');
}

function endSourceMover(world: World): void {
  world.mover = 0;
  world.took = 0;
  world.act = ACT.idle;
  world.live = LIVE.none;
  world.cont = 0;
  world.rec = 0;
  world.sess = 0;
  world.unheard = 0;
}

function endDestinationMover(world: World): void {
  world.dmover = 0;
  world.busy = BUSY.idle;
  world.dsess = 0;
  world.dlost = 0;
  // Whoever waited for its answer finds the connection broken, and calls again.
  if (world.live === LIVE.working) world.live = LIVE.sent;
}

function hypervisorDeaths(context: Context): void {
  const { world, emit } = context;
  if (world.qemu !== QEMU.gone && world.unheard < 1 << 16) {
    const next = fault(context);
    next.qemu = QEMU.gone;
    next.excuses |= EXCUSE.sourceGone;
    says(next, 'lost');
    emit('fault', 'the source’s QEMU dies');
  }
  if (isDestinationThere(world)) {
    const next = fault(context);
    endDestination(next);
    next.excuses |= EXCUSE.destinationGone;
    emit('fault', 'the destination’s QEMU dies');
  }
}

/** The host goes with everything in it; of its journal at least what was synced remains. */
function powerLosses(context: Context): void {
  const { emit } = context;
  for (const next of loseSourcePower(context)) {
    next.faults -= 1;
    next.excuses |= EXCUSE.sourceGone;
    emit('fault', 'the source’s host loses power');
  }
  for (const next of losePower(context)) {
    next.faults -= 1;
    next.excuses |= EXCUSE.rebooted;
    emit('fault', 'the destination’s host loses power');
  }
}

/** Each state that a loss of power at the source may lead to; built one at a time in `context.next`. */
export function* loseSourcePower(context: Context): Generator<World> {
  const { world, source } = context;
  for (const left of source.cuts(world.js)) {
    const next = fork(context);
    endSourceMover(next);
    next.js = left;
    next.qemu = QEMU.gone;
    next.rebooted = 1;
    if (world.sdam === 0 && source.state(left).doing.kind === 'end') next.mover = 1;
    yield next;
  }
}

/** The same at the destination. */
export function* losePower(context: Context): Generator<World> {
  const { world, destination } = context;
  if (world.jd === 0 || world.boot === MAX_BOOTS) return;
  for (const left of destination.cuts(world.jd)) {
    const next = fork(context);
    endDestinationMover(next);
    endDestination(next);
    next.dlost = 0;
    next.jd = left;
    next.boot += 1;
    yield next;
  }
}
