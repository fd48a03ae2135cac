import type { SourceState } from '../../src/migration/direct/source/source-state.ts';
import { fork, type Context } from './context.ts';
import { saysEvent, saysNumber, type ErrorName } from './events.ts';
import { callMoves, statusMoves } from './source-calls.ts';
import {
  COMMANDS,
  cancelMoves,
  openSession,
  STAND,
  takeBack,
  type Command,
} from './source-qemu.ts';
import { apply, did, fails, send, stateOf, undid } from './source-shell.ts';
import { ACT, CALLS, EXCUSE, LIVE, type Call, type World } from './state.ts';

/**
 * The source's handlers and their undo, as the table taken from their own code has it (shells/source.ts): at each point
 * it says what is asked; what may be answered is the world's.
 */

/** Goes on with an answer to the question that it stands at. */
export type Reply = (next: World, answer: string) => void;

export function sourceHandlerMoves(context: Context, state: SourceState): void {
  const { world, emit } = context;
  if (world.act === ACT.idle) return;
  if (world.act === ACT.begin) {
    const next = fork(context);
    goOn(context, next, world.at);
    const { doing } = state;
    if (doing.kind !== 'do' && doing.kind !== 'undo') return;
    emit('step', `the source’s mover begins to ${doing.kind} ${doing.step}`);
    return;
  }
  const { name, reply } = asked(context);
  if (isCommand(name)) return commandMoves(context, name, reply);
  if (name === 'call status') return statusMoves(context, reply);
  if (name === 'cancel') return cancelMoves(context, reply);
  if (name === 'fence') return unproved(context, reply);
  if (name === 'locate') return locateMoves(context, reply);
  if (name === 'status') return lookMoves(context, reply);
  callMoves(context, name, reply);
}

const isCommand = (name: string): name is Command => Object.hasOwn(COMMANDS, name);

/** What it waits for in the state that is being left. */
export function asked(context: Context): { readonly name: string; readonly reply: Reply } {
  const { world, table } = context;
  const ask = table.points[world.at]?.asks?.[0];
  if (ask === undefined) throw new Error(`nothing is asked at point ${world.at}`);
  const reply: Reply = (next, answer) => {
    const to = ask.next.get(answer);
    if (to === undefined) throw new Error(`${ask.name} has no answer ${answer}`);
    goOn(context, next, to);
  };
  return { name: ask.name, reply };
}

/** Whether the source's mover waits for this in the state that is being left. */
export function isAsking(context: Context, name: string): boolean {
  return (
    context.world.mover === 1 && context.world.act === ACT.asked && asked(context).name === name
  );
}

/** On to the next question whose answer takes time; what is answered at once is so on the way there. */
function goOn(context: Context, world: World, from: number): void {
  const { points } = context.table;
  world.live = LIVE.none;
  for (let at = from; ;) {
    const point = points[at];
    if (point?.asks === undefined) return over(context, world, point?.over ?? '');
    const [ask] = point.asks;
    const name = ask?.name ?? '';
    if (name.startsWith('reports ')) {
      world.act = ACT.idle;
      apply(context, world, saysEvent(saysNumber('completed')));
      // It is over with what it has reported.
      return;
    }
    const now = atOnce(context, world, name);
    if (now === undefined) {
      world.act = ACT.asked;
      world.at = at;
      return arrive(world, name);
    }
    const to = ask?.next.get(now);
    if (to === undefined) throw new Error(`${name} is not asked for ${now}`);
    at = to;
  }
}

function over(context: Context, world: World, how: string): void {
  world.act = ACT.idle;
  const { doing } = stateOf(context, world);
  if (how !== 'done') return fails(context, world, how as ErrorName);
  if (doing.kind === 'do') did(context, world, doing.step);
  if (doing.kind === 'undo') undid(context, world, doing.step);
}

/** What the code reads, and the session with QEMU, which is open or opens, or finds QEMU gone. */
function atOnce(context: Context, world: World, name: string): string | undefined {
  const state = stateOf(context, world);
  switch (name) {
    case 'open':
      return openSession(world) ? 'ok' : 'gone';
    case 'took over':
      return world.took === 1 ? 'yes' : 'no';
    case 'mover':
      return state.known.moverAddress === undefined ? 'unreported' : 'reported';
    case 'right':
    case 'via':
    case 'stream':
      return state[name];
    case 'proof':
      return state.decision.proof;
    case 'closed by proof':
      return state.closedByProof ? 'yes' : 'no';
    case 'may have run there':
      return state.mayHaveRunThere === true ? 'yes' : 'no';
    case 'attempts':
      return String(state.attempts);
    default:
      return undefined;
  }
}

/** What asking does by itself. */
function arrive(world: World, name: string): void {
  if (name === 'cancel') takeBack(world);
  const call = callIn(name);
  if (call !== undefined) send(world, call);
}

function callIn(name: string): Call | undefined {
  return CALLS.find((each) => name === `call ${each}` || name === `once ${each}`);
}

/** The call that the source's mover waits for. */
export function calledNow(context: Context): Call {
  const call = callIn(asked(context).name);
  if (call === undefined) throw new Error('the source’s mover waits for no call');
  return call;
}

/** A command to QEMU: carried out, or not for it is gone or refuses; it may also fail, and its answer be late. */
function commandMoves(context: Context, name: Command, reply: Reply): void {
  const { world, emit } = context;
  const { work, mayFail, mayBeLate } = COMMANDS[name];
  const next = fork(context);
  reply(next, work(context, next));
  emit('step', `the source’s mover has QEMU ${name}`);
  if (world.faults === 0) return;
  if (mayFail) {
    const failed = fork(context);
    failed.faults -= 1;
    failed.excuses |= EXCUSE.deadline;
    reply(failed, 'other');
    emit('fault', `${name} fails before it has done anything`);
  }
  if (!mayBeLate) return;
  const late = fork(context);
  late.faults -= 1;
  late.excuses |= EXCUSE.deadline;
  work(context, late);
  reply(late, 'deadline');
  emit('fault', `${name} is done, but QEMU’s answer comes too late`);
}

function lookMoves(context: Context, reply: Reply): void {
  const next = fork(context);
  reply(next, STAND[context.world.qemu] ?? 'gone none');
  context.emit('step', 'the source’s mover asks QEMU where it stands');
}

/** No hook has shown anything; what it may show is the operator's (operator.ts). */
function unproved(context: Context, reply: Reply): void {
  const next = fork(context);
  reply(next, 'on');
  context.emit('step', 'nothing shows that the destination is off');
}

/** The destination's agent is asked whether it has a mover for this. */
function locateMoves(context: Context, reply: Reply): void {
  const { world, emit } = context;
  const next = fork(context);
  const isThere = world.jd !== 0 && world.forgot === 0;
  reply(next, isThere ? 'there' : 'none');
  emit('step', `the destination’s agent says that there is ${isThere ? 'a' : 'no'} mover`);
  const late = fork(context);
  late.excuses |= EXCUSE.deadline;
  reply(late, 'unreachable');
  emit('time', 'the destination’s agent does not say whether there is a mover');
}
