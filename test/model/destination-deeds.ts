import type { DestinationState } from '../../src/migration/direct/destination/destination.ts';
import { neverRanThere } from '../../src/migration/direct/source/resolve.ts';
import type { Choice } from './choices.ts';
import { breakRule, fork, type Context } from './context.ts';
import type { RecordName } from './events.ts';
import { isDestinationThere } from './hypervisors.ts';
import type { Deed } from './shells/destination.ts';
import { stateOf } from './source-shell.ts';
import { BUSY, DEST, EXCUSE, LIVE, destinationRuns, type World } from './state.ts';

/**
 * What the destination's mover does, as the table taken from its own code has it (shells/destination.ts): at each point
 * it says what is asked; what may be answered is the world's. One deed at a time: its lock sees to that.
 */

type Reply = (next: World, answer: string) => void;

export function begin(context: Context, world: World, deed: Deed, choice: Choice = {}): void {
  goOn(context, world, context.there.deeds[deed], choice);
}

function goOn(context: Context, world: World, from: number, choice: Choice): void {
  const { points } = context.there;
  for (let at = from; ;) {
    const point = points[at];
    if (point?.asks === undefined) return over(world, point?.over ?? '');
    const [ask] = point.asks;
    const name = ask?.name ?? '';
    const now = atOnce(context, world, name, choice);
    if (now === undefined) {
      world.busy = BUSY.working;
      world.dat = at;
      if (name === 'run') runGuest(context, world);
      return;
    }
    const to = ask?.next.get(now);
    if (to === undefined) throw new Error(`${name} is not asked for ${now}`);
    at = to;
  }
}

/** Who waits for it has its answer. An answer that is late is none: the source's mover calls again. */
function over(world: World, how: string): void {
  world.busy = BUSY.idle;
  if (world.live !== LIVE.working) return;
  world.live = ANSWERS[how] ?? LIVE.error;
}

const ANSWERS: Readonly<Record<string, number>> = {
  done: LIVE.ok,
  notArmed: LIVE.notArmed,
  held: LIVE.held,
  goneThere: LIVE.gone,
  deadline: LIVE.sent,
};

/** What the code reads, and what it does without waiting for it; undefined for what takes time. */
function atOnce(context: Context, world: World, name: string, choice: Choice): string | undefined {
  const [word = '', what = ''] = name.split(' ');
  if (word === 'record') return record(context, world, name.slice('record '.length));
  if (word === 'settle' && what !== '') {
    // An answer that says so waits for it: what is cut off before has not been answered.
    if (what === 'sync') world.jd = context.destination.synced(world.jd);
    return 'ok';
  }
  const state = asHeard(context, world);
  switch (name) {
    case 'epoch':
      return choice.earlier === true ? 'earlier' : 'this';
    case 'mode':
      return context.mode;
    case 'stage':
    case 'right':
      return state[name];
    case 'hypervisor':
      return state.hypervisor === 'none' ? 'incoming' : state.hypervisor;
    case 'has run':
      return state.hasRun ? 'yes' : 'no';
    case 'unsure':
      return state.unsure ? 'yes' : 'no';
    case 'source':
      context.choices.source = true;
      return choice.source === undefined ? phaseOf(context, world) : choice.source;
    case 'its right':
      return rightOf(context, world);
    case 'never ran':
      context.choices.neverRan = true;
      return choice.neverRan === true ? 'yes' : 'no';
    default:
      return undefined;
  }
}

function phaseOf(context: Context, world: World): string {
  const { doing } = stateOf(context, world);
  if (doing.kind !== 'end') return 'memory';
  return doing.outcome === 'cancelled' ? 'failed' : doing.outcome;
}

function rightOf(context: Context, world: World): string {
  const state = stateOf(context, world);
  const { right } = state;
  if (right === 'abandoned') return neverRanThere(state) ? 'never ran' : right;
  return right === 'passed' ? right : 'other';
}

function record(context: Context, world: World, what: string): 'ok' {
  const { destination } = context;
  const { right, hypervisor } = destination.state(world.jd);
  if (what === 'committed' && right !== 'running' && hypervisor === 'gone') {
    breakRule(world, 'the destination promised to run a guest whose QEMU it knew to be gone');
  }
  if (what.startsWith('finished') || what.startsWith('released')) {
    world.reported = what.endsWith(' reported') ? 1 : 0;
  }
  const name = what.replace(' reported', '');
  world.jd = destination.write(
    world.jd,
    (name === 'armed' ? `armed${world.boot}` : name) as RecordName,
  );
  return 'ok';
}

/** What its mover has heard of its QEMU: this takes a moment, and nothing is decided by its having heard less. */
function asHeard({ destination }: Context, world: World): DestinationState {
  const state = destination.state(world.jd);
  if (state.hypervisor === 'gone') return state;
  const hypervisor = HEARD[world.dqemu] ?? state.hypervisor;
  const hasRun = state.hasRun || (state.right === 'running' && HAS_RUN.has(world.dqemu));
  return { ...state, hypervisor, hasRun, postcopy: hypervisor.startsWith('postcopy') };
}

/** It has said RESUME. */
const HAS_RUN: ReadonlySet<number> = new Set([
  DEST.running,
  DEST.postcopyRunning,
  DEST.postcopyRunningCut,
]);

const HEARD: Readonly<Record<number, DestinationState['hypervisor']>> = {
  [DEST.loaded]: 'paused',
  [DEST.postcopy]: 'postcopy',
  [DEST.running]: 'running',
  [DEST.postcopyRunning]: 'postcopy',
  [DEST.postcopyRunningCut]: 'postcopy-paused',
  [DEST.postcopyCut]: 'postcopy-paused',
};

/** cont: where its memory is not there yet, QEMU starts by itself once it is. */
function runGuest(context: Context, world: World): void {
  if (world.commitSent === 0 && (world.excuses & EXCUSE.proved) === 0)
    breakRule(world, 'the destination runs without a commit under its epoch');
  const { right, stage } = context.destination.state(world.jd);
  if (right === 'refused') breakRule(world, 'the destination runs although it has refused');
  if (stage === 'released') {
    breakRule(world, 'the destination acts after it has released everything');
  }
  const runs = RUNS[world.dqemu];
  if (runs === undefined) return;
  world.dqemu = runs;
  if (runs !== DEST.incomingAuto) world.ran = 1;
}

const RUNS: Readonly<Record<number, number>> = {
  [DEST.incoming]: DEST.incomingAuto,
  [DEST.loaded]: DEST.running,
  [DEST.postcopy]: DEST.postcopyRunning,
  [DEST.postcopyCut]: DEST.postcopyRunningCut,
};

/** What the deed that is under way waits for. */
export function deedMoves(context: Context): void {
  const { world, emit } = context;
  const ask = context.there.points[world.dat]?.asks?.[0];
  if (ask === undefined) throw new Error(`nothing is asked at point ${world.dat}`);
  const answer = answerTo(context, ask.name);
  const made = (
    work: (reply: Reply) => void,
    kind: 'step' | 'time' | 'fault',
    label: string,
  ): void =>
    context.choices.each(
      context,
      (choice) => {
        work((next, word) => {
          const to = ask.next.get(word);
          if (to === undefined) throw new Error(`${ask.name} has no answer ${word}`);
          goOn(context, next, to, choice);
        });
      },
      (how) => emit(kind, `${label}${how}`),
    );
  if (answer === undefined) {
    const late = (reply: Reply): void => {
      const next = fork(context);
      next.excuses |= EXCUSE.deadline;
      reply(next, 'deadline');
    };
    made(late, 'time', `the destination’s QEMU does not come to ${ask.name} in time`);
    return;
  }
  made(
    (reply) => reply(worked(context, ask.name), answer),
    'step',
    `the destination: ${ask.name}: ${answer}`,
  );
  if (ask.name !== 'start' || world.faults === 0) return;
  const failed = (reply: Reply): void => {
    const next = fork(context);
    next.faults -= 1;
    reply(next, 'other');
  };
  made(failed, 'fault', 'the destination’s QEMU does not start');
}

/** Undefined: there is none yet. */
function answerTo({ world }: Context, name: string): string | undefined {
  const isThere = isDestinationThere(world);
  switch (name) {
    case 'start':
    case 'destroy':
      return 'ok';
    case 'settle':
      return isThere ? 'ok' : 'goneThere';
    case 'status there':
      if (!isThere) return 'gone';
      return destinationRuns(world) ? 'running' : 'paused';
    case 'fence the source':
      return 'on';
    case 'run':
      if (!isThere) return 'goneThere';
      return world.dqemu === DEST.incomingAuto ? undefined : 'ok';
    case 'wait for the devices':
      if (!isThere) return 'goneThere';
      return world.dqemu === DEST.incoming || world.dqemu === DEST.incomingAuto ? undefined : 'ok';
    default:
      throw new Error(`the model has no answer to ${name}`);
  }
}

function worked(context: Context, name: string): World {
  const next = fork(context);
  if (name === 'start') {
    next.dqemu = DEST.incoming;
    next.dsess = 1;
  }
  if (name === 'destroy') {
    next.dqemu = DEST.none;
    next.dsess = 0;
    next.dlost = 0;
  }
  if (name === 'status there') next.dsess = isDestinationThere(next) ? 1 : 0;
  return next;
}

/** The deed that waits for the hook that turns the source off. */
export function sourceIsOff(context: Context, off: World): void {
  const ask = context.there.points[context.world.dat]?.asks?.[0];
  const to = ask?.name === 'fence the source' ? ask.next.get('off') : undefined;
  if (to === undefined) throw new Error('nobody waits for that');
  goOn(context, off, to, {});
}

export function isFencing(context: Context): boolean {
  return waitsFor(context) === 'fence the source';
}

/** A mover that has taken over is known to nobody before it has looked at its QEMU. */
export function answers(context: Context): boolean {
  const { world } = context;
  return world.jd !== 0 && world.dmover === 1 && waitsFor(context) !== 'status there';
}

function waitsFor({ world, there }: Context): string | undefined {
  if (world.dmover === 0 || world.busy === BUSY.idle) return undefined;
  return there.points[world.dat]?.asks?.[0]?.name;
}
