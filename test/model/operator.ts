import { whyNotResolved } from '../../src/migration/direct/source/resolve.ts';
import type { GuestSightings } from '../../src/migration/direct/operator/guest-sightings.ts';
import { destinationFacts, sourceFacts } from '../../src/migration/direct/operator/side-facts.ts';
import type { KernelAnswer } from '../../src/migration/direct/operator/dark-host.ts';
import { breakRule, fork, type Context } from './context.ts';
import { begin, isFencing, sourceIsOff } from './destination-deeds.ts';
import { FENCED, PLANNED, RESOLVED, SOURCE_EVENTS } from './events.ts';
import { losePower as loseDestination, loseSourcePower } from './faults.ts';
import { isDestinationThere } from './hypervisors.ts';
import { asked, isAsking } from './source-handlers.ts';
import { apply, stateOf } from './source-shell.ts';
import { ACT, BUSY, EXCUSE, LIVE, QEMU, handedOver, type World } from './state.ts';

/**
 * What an operator does with a held migration (`godwit resolve`), what the fencing hook does by itself, and how a
 * destination learns that it was overruled. The operator is right: what is said to be off is off, and what is said to
 * have no copy has none. (`operatorGuesses` takes that away.) What `resolve` calls safe is done, and has to be.
 */
export function operatorMoves(context: Context): void {
  const { world } = context;
  const state = stateOf(context, world);
  if (state.doing.kind === 'end' && state.doing.outcome === 'held' && world.mover === 1) {
    resolveAtSource(context);
  }
  if (isAsking(context, 'fence')) fenceMoves(context);
  if (world.jd === 0 || world.dmover === 0) return;
  resolveAtDestination(context);
}

/** The agent journals the order; the mover that it then starts takes over from the journal. */
function order(context: Context, next: World, event: number): boolean {
  const why = SOURCE_EVENTS[event];
  if (why?.type !== 'resolved' || whyNotResolved(stateOf(context, next), why) !== undefined) {
    return false;
  }
  next.js = context.source.apply(next.js, event).journal;
  next.mover = 0;
  next.took = 0;
  next.act = ACT.idle;
  next.live = LIVE.none;
  next.sess = 0;
  next.unheard = 0;
  return true;
}

function resolveAtSource(context: Context): void {
  const { world, rules, emit } = context;
  const here = hereOf(world);
  const on = fork(context);
  if (order(context, on, RESOLVED.destination.ask[here])) {
    emit('ask', 'an operator resolves: on to the destination, which judges the commit');
  }
  const back = fork(context);
  if (order(context, back, RESOLVED.source.ask[here])) {
    emit('ask', 'an operator resolves: back to the source, with the destination’s own answer');
  }
  for (const asked of fleetAnswers(world)) {
    const seen = fork(context);
    // What is called safe is a proof only where it is so.
    if (world.ran === 0) seen.excuses |= EXCUSE.proved;
    if (isCalledSafe(context, asked) && order(context, seen, RESOLVED.source.observed[here])) {
      const what = asked.destination ? 'which answers' : 'which is dark';
      emit(
        'ask',
        `an operator resolves: back to the source, called safe with a destination ${what}`,
      );
    }
  }
  for (const off of loseDestination(context)) {
    // The fleet is asked before, or he makes sure himself: a guest that was sent on is not called back.
    if (off.third === 1) break;
    off.excuses |= EXCUSE.proved;
    if (order(context, off, RESOLVED.source.fenced[here])) {
      emit('ask', 'an operator turns the destination off and resolves: back to the source');
    }
  }
  if (!rules.operatorGuesses) return;
  const guess = fork(context);
  guess.excuses |= EXCUSE.proved;
  if (order(context, guess, RESOLVED.source.operator[here])) {
    emit('ask', 'an operator guesses: back to the source');
  }
}

/** Which of the other hosts answer. */
interface Answering {
  readonly destination: boolean;
  readonly third: boolean;
}

function fleetAnswers({ dmover, forgot, ddam }: World): Answering[] {
  const reports = dmover === 1 && forgot === 0 && ddam === 0;
  return (reports ? [true, false] : [false]).flatMap((destination) =>
    [true, false].map((third) => ({ destination, third })),
  );
}

/** What the fleet says of the guest: a host that it came to later knows the migration by which it came. */
function fleetOf({ third: isThere }: World, answering: Answering): GuestSightings {
  const { id, from, to } = PLANNED.precopy;
  const unasked = [
    ...(answering.destination ? [] : [{ host: to, why: 'it is dark' }]),
    ...(answering.third ? [] : [{ host: 'c', why: 'it is dark' }]),
  ];
  const on = { id: 'm-later', from: to, to: 'c', createdAt: '', lineage: [id] };
  const nothing = { copies: [], moves: [] };
  const known = {
    copies: [{ state: 'running' }],
    moves: [{ ...on, side: 'destination' }],
  } as const;
  const third = { host: 'c', ...(isThere === 1 ? known : nothing) };
  const sent = { host: to, copies: [], moves: isThere === 1 ? [{ ...on, side: 'source' }] : [] };
  const sightings = [...(answering.third ? [third] : []), ...(answering.destination ? [sent] : [])];
  const all = [{ host: from, ...nothing }, ...sightings] as unknown as GuestSightings['sightings'];
  return { id, since: undefined, uuid: undefined, sightings: all, unasked };
}

/** Whether `resolve` calls the source safe without asking the destination's mover for its word. */
function isCalledSafe(context: Context, answering: Answering): boolean {
  const { world, rules, source, destination } = context;
  const answers = answering.destination;
  const { guest, from, to } = PLANNED.precopy;
  const bootId = `boot-${world.boot}`;
  const armedBootId = world.jd === 0 ? undefined : destination.armedBootId(world.jd);
  const state = world.jd === 0 ? undefined : destination.state(world.jd);
  const life = isDestinationThere(world) ? 'alive' : 'gone';
  const sight = { life, armedBootId, bootId } as const;
  const common = { id: PLANNED.precopy.id, guest, phase: 'held', moverAlive: false } as const;
  const there = { ...common, host: to, side: 'destination' } as const;
  const reported = rules.judge({
    guest,
    from,
    to,
    fleet: fleetOf(world, answering),
    source: {
      ...common,
      host: from,
      side: 'source',
      ...sourceFacts(source.state(world.js), hereOf(world)),
    },
    destination: answers ? { ...there, ...destinationFacts(state, sight) } : undefined,
  });
  const back = reported.find(({ runAt }) => runAt === 'source');
  if (back?.proof !== 'observed') return false;
  // Of what is unknown he makes sure himself.
  return back.verdict === 'safe' || (back.verdict === 'unknown' && world.ran === 0);
}

function hereOf(world: World): 'handed-over' | 'running' | 'gone' {
  if (world.qemu === QEMU.gone) return 'gone';
  return handedOver(world) ? 'handed-over' : 'running';
}

/** What the destination's kernel may say over its two paths while the gate watches it. */
const HEARD: readonly (readonly KernelAnswer['what'][])[] = [
  ['silence', 'silence'],
  ['silence', 'answer'],
  ['silence', 'unknown'],
  ['answer', 'answer'],
];

/**
 * The hook is called where the gate before it lets it. Why the source has no word from a host that answers is of no
 * matter: its agent may be stopped or its disk full, and messages are late here in any case.
 */
function fenceMoves(context: Context): void {
  for (const heard of HEARD) if (context.rules.isDark(heard)) hookMoves(context, heard);
}

function hookMoves(context: Context, heard: readonly KernelAnswer['what'][]): void {
  const { reply } = asked(context);
  const isDead = heard.every((what) => what === 'silence');
  for (const off of loseDestination(context)) {
    if (!isDead)
      breakRule(
        off,
        'a host whose kernel answers, or may answer, was turned off by the fencing hook',
      );
    off.excuses |= EXCUSE.proved;
    const before = stateOf(context, off).doing;
    // The proof is in the journal before anybody acts on it.
    apply(context, off, FENCED);
    const { doing } = stateOf(context, off);
    if (JSON.stringify(doing) === JSON.stringify(before)) reply(off, 'off');
    context.emit('ask', 'the fencing hook shows that the destination is off');
  }
}

/** Its source is off: a person has the destination run what it holds, or its own hook has shown it. */
function resolveAtDestination(context: Context): void {
  const { world, emit } = context;
  if (isFencing(context)) {
    for (const off of loseSourcePower(context)) {
      off.excuses |= EXCUSE.proved;
      off.ordered = 1;
      sourceIsOff(context, off);
      emit('ask', 'the fencing hook shows that the source is off');
    }
  }
  if (world.busy !== BUSY.idle) return;
  for (const off of loseSourcePower(context)) {
    off.excuses |= EXCUSE.proved;
    off.ordered = 1;
    begin(context, off, 'run here, as ordered');
    if (off.busy === BUSY.idle) continue;
    emit('ask', 'the source is turned off: the destination runs what it was given');
  }
}
