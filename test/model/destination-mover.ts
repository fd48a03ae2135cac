import type { DestinationState } from '../../src/migration/direct/destination.ts';
import { breakRule, fork } from './context.ts';
import type { Context } from './context.ts';
import type { RecordName } from './events.ts';
import { isDestinationThere } from './hypervisors.ts';
import { calledNow } from './source-handlers.ts';
import { BUSY, CALLS, DEST, EARLIER, EXCUSE, LIVE, callBit } from './state.ts';
import type { Call, World } from './state.ts';

/** The shell of the destination's mover (src/mover/direct/destination/mover.ts): calls in turn, records before deeds. */

export function destinationMoverMoves(context: Context): void {
  const { world, emit } = context;
  if (world.forgot === 1) return arrivalsAtNobody(context);
  arrivals(context);
  if (world.jd === 0) return;
  if (world.dmover === 0) {
    const next = fork(context);
    takeOver(context, next);
    emit('step', 'the destination’s agent starts a new mover, which reads the journal');
    return;
  }
  if (world.dlost === 1) {
    const next = fork(context);
    next.dlost = 0;
    record(context, next, 'lost');
    emit('step', 'the destination’s mover hears that its QEMU is gone');
  }
  if (world.busy !== BUSY.idle) return workMoves(context);
  pruneMove(context);
  lease(context);
}

/** What has ended here is forgotten one day, where the rules let it. */
function pruneMove(context: Context): void {
  const { world, emit, rules, destination } = context;
  const { stage } = destination.state(world.jd);
  if (stage !== 'finished' && stage !== 'released') return;
  if (!rules.mayForget(world.told === 1)) return;
  const next = fork(context);
  next.forgot = 1;
  next.dmover = 0;
  emit('net', 'the destination’s agent forgets the migration');
}

function arrivalsAtNobody(context: Context): void {
  const { world, emit } = context;
  if (world.live !== LIVE.sent) return;
  const next = fork(context);
  next.live = LIVE.unknown;
  emit('step', 'the destination’s agent does not know the migration');
}

function record(context: Context, world: World, name: RecordName): void {
  world.jd = context.destination.record(world.jd, name);
}

function takeOver(context: Context, next: World): void {
  next.dmover = 1;
  next.jd = context.destination.takenOver(next.jd, next.boot);
  const { stage } = context.destination.state(next.jd);
  if (stage === 'preparing') next.dqemu = DEST.none;
  if (stage !== 'prepared') return;
  next.dsess = isDestinationThere(next) ? 1 : 0;
  if (next.dsess === 0) record(context, next, 'lost');
}

/** The live call, and copies that the network made or kept. */
function arrivals(context: Context): void {
  const { world, emit } = context;
  if (world.live === LIVE.sent) {
    const call = calledNow(context);
    const next = fork(context);
    if (receive(context, next, call, true, false)) emit('step', `${call} arrives`);
  }
  for (const call of CALLS) {
    if ((world.sent & callBit(call)) === 0) continue;
    const next = fork(context);
    if (receive(context, next, call, false, false)) emit('net', `a late copy of ${call} arrives`);
  }
  for (const [bit, call] of EARLIER.entries()) {
    if ((world.earlier & (1 << bit)) === 0) continue;
    const next = fork(context);
    if (receive(context, next, call, false, true)) {
      emit('net', `${call} of an earlier migration arrives`);
    }
  }
}

/** False where nobody is there to take the call, or its turn has not come. */
function receive(
  context: Context,
  next: World,
  call: Call,
  live: boolean,
  earlier: boolean,
): boolean {
  if (call === 'admit' && next.jd === 0) {
    next.jd = context.destination.admitted;
    next.dmover = 1;
    if (live) next.live = LIVE.ok;
    return true;
  }
  if (next.jd === 0 || next.dmover === 0 || next.busy !== BUSY.idle) return false;
  if (call === 'admit') {
    if (live) next.live = LIVE.ok;
    return live;
  }
  const verdict = context.destination.judge(next.jd, call, earlier);
  if (verdict.kind === 'no') {
    if (live) next.live = verdict.error.code === 'GODWIT_HELD' ? LIVE.held : LIVE.notArmed;
    return live;
  }
  const before = next.jd;
  const busy = begin(context, next, call, verdict.kind === 'already');
  next.busy = busy;
  if (live) next.live = busy === BUSY.idle ? LIVE.ok : LIVE.working;
  return live || busy !== BUSY.idle || next.jd !== before;
}

/** What a call does at once; what it is busy with afterwards. */
function begin(context: Context, next: World, call: Call, already: boolean): number {
  switch (call) {
    case 'admit':
      return BUSY.idle;
    case 'prepare':
      if (already) return BUSY.idle;
      record(context, next, 'preparing');
      return BUSY.preparing;
    case 'arm':
      if (!already) record(context, next, `armed${next.boot as 0 | 1 | 2 | 3}`);
      return BUSY.idle;
    case 'commit':
      if (!already && context.destination.state(next.jd).hypervisor === 'gone') {
        breakRule(next, 'the destination promised to run a guest whose QEMU it knew to be gone');
      }
      // Also when it was committed before: an earlier mover may have died between the record and the deed.
      record(context, next, 'committed');
      return BUSY.committed;
    case 'refuse':
      if (!already) record(context, next, 'refused');
      return BUSY.idle;
    case 'release':
      if (already) return BUSY.idle;
      next.told = 1;
      if (context.destination.state(next.jd).right !== 'refused') record(context, next, 'refused');
      return BUSY.releasing;
    case 'finish':
      if (!already) record(context, next, 'finished');
      next.told = 1;
      return BUSY.idle;
  }
}

function answer(world: World, word: number): void {
  world.busy = BUSY.idle;
  if (world.live === LIVE.working) world.live = word;
}

function workMoves(context: Context): void {
  const { world, emit } = context;
  const next = fork(context);
  switch (world.busy) {
    case BUSY.preparing: {
      next.dqemu = DEST.incoming;
      next.dsess = 1;
      next.busy = BUSY.started;
      emit('step', 'the destination starts its QEMU, paused');
      if (world.faults === 0) return;
      const failed = fork(context);
      failed.faults -= 1;
      record(context, failed, 'failed');
      answer(failed, LIVE.error);
      emit('fault', 'the destination’s QEMU does not start');
      return;
    }
    case BUSY.started:
      record(context, next, 'prepared');
      answer(next, LIVE.ok);
      emit('step', 'the destination is prepared');
      return;
    case BUSY.committed:
      resumeGuest(context, next);
      emit('step', 'the destination’s mover tells its QEMU to run the guest');
      return;
    case BUSY.continuing:
      continuingMoves(context);
      return;
    case BUSY.resumed:
      record(context, next, 'running');
      answer(next, LIVE.ok);
      emit('step', 'the destination records that it runs');
      return;
    case BUSY.releasing:
      next.dqemu = DEST.none;
      next.dsess = 0;
      next.dlost = 0;
      next.busy = BUSY.destroyed;
      emit('step', 'the destination takes down what it had built');
      return;
    case BUSY.destroyed:
      record(context, next, 'released');
      answer(next, LIVE.ok);
      emit('step', 'the destination has released everything');
      return;
    default:
  }
}

function resumeGuest(context: Context, next: World): void {
  if (next.commitSent === 0 && (next.excuses & EXCUSE.proved) === 0)
    breakRule(next, 'the destination runs without a commit under its epoch');
  const { right, stage } = context.destination.state(next.jd);
  if (right === 'refused') breakRule(next, 'the destination runs although it has refused');
  if (stage === 'released') {
    breakRule(next, 'the destination acts after it has released everything');
  }
  next.busy = BUSY.resumed;
  switch (next.dqemu) {
    case DEST.incoming:
    case DEST.incomingAuto:
      next.dqemu = DEST.incomingAuto;
      next.busy = BUSY.continuing;
      return;
    case DEST.loaded:
      next.dqemu = DEST.running;
      break;
    case DEST.postcopy:
      next.dqemu = DEST.postcopyRunning;
      break;
    case DEST.postcopyCut:
      next.dqemu = DEST.postcopyRunningCut;
      break;
    case DEST.none:
    case DEST.gone:
      answer(next, LIVE.gone);
      return;
    default:
  }
  next.ran = 1;
}

/** `cont` waits for the guest to run: it does, its QEMU ends, or the wait is over (and the call may be repeated). */
function continuingMoves(context: Context): void {
  const { world, emit } = context;
  const next = fork(context);
  if (world.dqemu !== DEST.incomingAuto) {
    if (isDestinationThere(world)) next.busy = BUSY.resumed;
    else answer(next, LIVE.gone);
    emit('step', 'the destination’s mover sees what became of the guest');
    return;
  }
  next.excuses |= EXCUSE.deadline;
  // An answer of this kind is taken for silence: the source's mover calls again.
  answer(next, LIVE.sent);
  emit('time', 'the destination’s QEMU does not run the guest in time');
}

/** What its mover has heard of its QEMU by the time that the source has been silent for so long. */
function asHeard({ world }: Context, state: DestinationState): DestinationState {
  if (state.hypervisor === 'gone') return state;
  const hypervisor = HEARD[world.dqemu] ?? state.hypervisor;
  return { ...state, hypervisor, postcopy: hypervisor.startsWith('postcopy') };
}

const HEARD: Readonly<Record<number, DestinationState['hypervisor']>> = {
  [DEST.loaded]: 'paused',
  [DEST.postcopy]: 'postcopy',
  [DEST.running]: 'running',
  [DEST.postcopyRunning]: 'postcopy',
  [DEST.postcopyRunningCut]: 'postcopy-paused',
  [DEST.postcopyCut]: 'postcopy-paused',
};

/** A source that is silent for long has given up; here for however long, so at any time. */
function lease(context: Context): void {
  const { world, emit } = context;
  const state = context.destination.state(world.jd);
  const action = context.rules.onSilence(asHeard(context, state));
  if (action === 'wait') return;
  const next = fork(context);
  next.excuses |= EXCUSE.deadline;
  next.told = 0;
  if (action === 'release') {
    record(context, next, 'failed');
    if (state.right !== 'refused' && !state.unsure) record(context, next, 'refused');
    next.busy = BUSY.releasing;
    emit('time', 'the source has been silent for too long: the destination refuses and releases');
    return;
  }
  if (action === 'finish' && next.dqemu === DEST.gone) {
    record(context, next, 'lost');
    emit('time', 'the destination would settle by itself, and finds its QEMU gone');
    return;
  }
  if (action === 'tear-down') next.dqemu = DEST.none;
  record(context, next, 'finished');
  emit('time', 'the source has been silent for too long: the destination settles by itself');
}
