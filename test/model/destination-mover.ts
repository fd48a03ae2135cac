import { fork, type Context } from './context.ts';
import { begin, deedMoves } from './destination-deeds.ts';
import type { Choice } from './choices.ts';
import { calledNow } from './source-handlers.ts';
import {
  BUSY,
  CALLS,
  DEST,
  EARLIER,
  EXCUSE,
  LIVE,
  callBit,
  type Call,
  type World,
} from './state.ts';

/** What comes to the destination's mover (src/mover/direct/destination/mover.ts): what it does then is its own code's. */

export function destinationMoverMoves(context: Context): void {
  const { world, emit } = context;
  if (world.forgot === 1) return arrivalsAtNobody(context);
  if (world.ddam === 1) return arrivalsAtDamaged(context);
  arrivals(context);
  if (world.jd === 0) return;
  if (world.dmover === 0) return takeOver(context);
  if (world.dlost === 1) {
    const next = fork(context);
    next.dlost = 0;
    next.jd = context.destination.record(next.jd, 'lost');
    emit('step', 'the destination’s mover hears that its QEMU is gone');
  }
  if (world.busy !== BUSY.idle) return deedMoves(context);
  pruneMove(context);
  moveOn(context);
  silence(context);
}

/** What has settled here is a guest like others: it may be sent on, as the source of a migration of its own. */
function moveOn(context: Context): void {
  const { world, emit, destination } = context;
  if (world.dqemu !== DEST.running || destination.state(world.jd).stage !== 'finished') return;
  const next = fork(context);
  next.dqemu = DEST.gone;
  next.third = 1;
  emit('ask', 'the guest moves on from the destination to a third host');
}

/** What has ended here is forgotten one day, where the rules let it. */
function pruneMove(context: Context): void {
  const { world, emit, rules, destination } = context;
  const { stage } = destination.state(world.jd);
  if (stage !== 'finished' && stage !== 'released') return;
  if (!rules.mayForget(world.reported === 1)) return;
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

/** Neither an answer nor silence (GODWIT_JOURNAL_DAMAGED). */
function arrivalsAtDamaged(context: Context): void {
  const { world, emit } = context;
  if (world.live !== LIVE.sent) return;
  const next = fork(context);
  next.live = LIVE.error;
  emit('step', 'the destination’s agent cannot read the journal, and says so');
}

/** A new mover reads the journal, records that it has taken over, and looks at what the earlier one left. */
function takeOver(context: Context): void {
  const start = (choice: Choice): void => {
    const next = fork(context);
    next.dmover = 1;
    next.jd = context.destination.takenOver(next.jd, next.boot);
    begin(context, next, 'take over', choice);
  };
  context.choices.each(context, start, (how) => {
    context.emit(
      'step',
      `the destination’s agent starts a new mover, which reads the journal${how}`,
    );
  });
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

/** False where nobody is there to take the call, its turn has not come, or nothing comes of it. */
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
  const before = next.jd;
  if (live) next.live = LIVE.working;
  begin(context, next, call, { earlier });
  return live || next.busy !== BUSY.idle || next.jd !== before;
}

/** The source's mover is silent here for however long, so at any time: its agent may be asked, or the lease be over. */
function silence(context: Context): void {
  const { world, emit, source, destination } = context;
  const { stage } = destination.state(world.jd);
  if (stage === 'released' || stage === 'finished') return;
  for (const deed of ['after silence', 'after long silence'] as const) {
    const isLong = deed === 'after long silence';
    // Records that nobody waited for lie on the disk after 100 ms (`SOON_MS`), and a long silence is minutes.
    if (isLong && source.synced(world.js) !== world.js) continue;
    const start = (choice: Choice): void => {
      const next = fork(context);
      if (isLong) next.excuses |= EXCUSE.deadline;
      begin(context, next, deed, choice);
    };
    context.choices.each(context, start, (how) => {
      const { next } = context;
      if (next.busy === BUSY.idle && next.jd === world.jd) return;
      emit('time', `the destination acts ${deed} of its source${how}`);
    });
  }
}
