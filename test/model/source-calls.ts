import { breakRule, fork, type Context } from './context.ts';
import { answers } from './destination-deeds.ts';
import type { ErrorName } from './events.ts';
import type { Reply } from './source-handlers.ts';
import { stateOf } from './source-shell.ts';
import { DEST, EXCUSE, LIVE } from './state.ts';

/** How the source's mover waits for the destination's answers (src/mover/direct/source/peer.ts): again and again, for a time. */

const ANSWERS: Readonly<Record<number, ErrorName>> = {
  [LIVE.notArmed]: 'notArmed',
  [LIVE.held]: 'held',
  [LIVE.gone]: 'goneThere',
  [LIVE.error]: 'other',
};

/** `call X`: made again where no answer comes, for a time; `once X`: not. */
export function callMoves(context: Context, name: string, reply: Reply): void {
  const { world, emit, rules } = context;
  const [how, call] = name.split(' ');
  // Questions that only read are one move.
  if (call === 'assess') return assessMoves(context, reply);
  if (world.live === LIVE.ok) {
    const next = fork(context);
    reply(next, 'ok');
    emit('step', `the answer to ${call} arrives: done`);
  }
  const error = ANSWERS[world.live];
  if (error !== undefined) {
    const next = fork(context);
    reply(next, error);
    emit('step', `the answer to ${call} arrives: ${error}`);
  }
  if (world.live === LIVE.unknown) {
    const next = fork(context);
    reply(next, rules.unknownIsLeave ? 'ok' : 'unknown');
    emit('step', `the answer to ${call} arrives: unknown`);
  }
  if (how === 'call' && world.live !== LIVE.sent) {
    const next = fork(context);
    next.live = LIVE.sent;
    emit('net', `the connection breaks; the source’s mover sends ${call} once more`);
  }
  if (how === 'once') {
    const next = fork(context);
    reply(next, 'unreachable');
    emit('time', `no answer to ${call}`);
  }
  const next = fork(context);
  next.excuses |= EXCUSE.deadline;
  reply(next, 'deadline');
  emit('time', `${call} gets no answer in time`);
}

function assessMoves(context: Context, reply: Reply): void {
  const { world, emit } = context;
  const next = fork(context);
  reply(next, 'ok');
  emit('step', 'the destination finds that it can take the guest');
  if (world.faults === 0) return;
  const failed = fork(context);
  failed.faults -= 1;
  failed.excuses |= EXCUSE.deadline;
  reply(failed, 'other');
  emit('fault', 'assess fails before it has done anything');
}

/** The destination's mover says where its QEMU stands, as far as it has heard. */
export function statusMoves(context: Context, reply: Reply): void {
  const { world, emit } = context;
  if (answers(context)) {
    const next = fork(context);
    const answer = standsThere(context);
    const { stage } = context.destination.state(world.jd);
    reply(next, answer);
    const { doing } = stateOf(context, next);
    const isTakenForWell = doing.kind === 'do' && doing.step === 'retire';
    // Where its mover hears of it a moment later, nothing could be known yet; once settled, it is the guest's own end.
    const isUnreported = stage !== 'finished' && world.dlost === 0;
    if (isTakenForWell && world.dqemu === DEST.gone && (isUnreported || answer === 'gone')) {
      breakRule(
        next,
        'the source found all well though the destination’s QEMU had ended and nothing would ever say so',
      );
    }
    emit('step', `the destination says where its QEMU stands: ${answer}`);
  }
  const late = fork(context);
  late.excuses |= EXCUSE.deadline;
  reply(late, 'silence');
  emit('time', 'the destination does not say in time where its QEMU stands');
}

function standsThere({ world, destination }: Context): string {
  if (destination.state(world.jd).hypervisor === 'gone') return 'gone';
  // What it settled it follows no more, wherever that goes on to.
  if (world.dqemu === DEST.running || world.third === 1) return 'running';
  const flows = world.dqemu === DEST.postcopy || world.dqemu === DEST.postcopyRunning;
  return flows ? 'postcopy' : 'other';
}
