import fc from 'fast-check';
import { holdsSwitchover } from '../../../src/migration/steering/steering.ts';
import type { MigrationSettings } from '../../../src/protocol/public/migration.ts';
import { planned, sampleOf } from './samples.ts';
import { World } from './world.ts';
import { unreachable } from './world-errors.ts';

/** Drives a world: by chance, with faults; or straight on, as it goes when nothing goes wrong. */

export type Move = readonly [name: string, move: (world: World) => void];

/** What the source's hypervisor may do by itself now. */
function streamMoves(world: World): Move[] {
  const says = (name: string, move: (world: World) => void): Move => [name, move];
  switch (world.stream) {
    case 'setup':
      return [says('active', () => world.says('active'))];
    case 'active':
      return [
        says('pass', () => {
          world.round += 1;
          world.says('active', 'pass');
        }),
        says('stops for the switch', () => {
          const held = holdsSwitchover(world.plan.settings, world.state.known);
          const at = held ? 'pre-switchover' : 'device';
          world.says(at, 'stopped', at);
        }),
      ];
    case 'device':
      return [
        says('hands over', () => {
          world.run = 'handed-over';
          if (world.state.via === 'postcopy') world.says('postcopy-active');
          else world.says('completed');
        }),
      ];
    case 'postcopy-active':
      return world.destination?.hypervisor === 'running'
        ? [says('the rest has left', () => world.says('completed'))]
        : [];
    case 'none':
    case 'pre-switchover':
    case 'postcopy-paused':
    case 'postcopy-recovering':
    case 'completed':
    case 'cancelled':
    case 'failed':
      return [];
  }
}

/** Moves that bring a migration on. */
export function goodMoves(world: World): Move[] {
  const moves: Move[] = [];
  if (world.pending.length > 0) moves.push(['answer', () => world.answer()]);
  if (world.unheard.length > 0) moves.push(['hear', () => world.hear()]);
  if (world.run !== 'gone') moves.push(...streamMoves(world));
  return moves;
}

/** What the steering, the user and the clock may do now. */
function askingMoves(world: World): Move[] {
  const { doing, plan } = world.state;
  if (doing.kind === 'end') return [];
  const moves: Move[] = [['cancel', () => world.dispatch({ type: 'cancel' })]];
  if (world.timer) moves.push(['timeout', timeout]);
  if (doing.kind === 'do' && doing.step === 'memory' && plan.settings.mode !== 'precopy') {
    moves.push(['decide', decide], ['decide', decide]);
  }
  if (doing.kind === 'do' && doing.step === 'memory') {
    const sample = sampleOf({ round: world.round });
    moves.push(['measure', () => world.dispatch({ type: 'measured', sample, final: false })]);
  }
  return moves;
}

export function decide(world: World): void {
  world.dispatch({ type: 'decided', what: 'postcopy', why: 'it was to be' });
}

function timeout(world: World): void {
  world.timer = false;
  world.dispatch({ type: 'timeout', afterMs: 1000 });
}

function faults(world: World): Move[] {
  const { destination, pending, run, stream } = world;
  const moves: Move[] = [['takeover', () => world.takeover()]];
  if (pending.length > 0) {
    moves.push(['fail before', () => world.answer('before')]);
    moves.push(['fail after', () => world.answer('after')]);
  }
  if (['setup', 'active', 'pre-switchover', 'device'].includes(stream) && run !== 'gone') {
    // QEMU runs the guest on by itself where its stream breaks before everything was handed over.
    moves.push(['break', breaks]);
  }
  if (stream === 'postcopy-active' && run !== 'gone') {
    moves.push(['pause', () => world.says('postcopy-paused')]);
  }
  if (destination !== undefined) {
    moves.push(['destination takeover', () => destination.takeover()]);
    const { sent } = world;
    const last = sent.at(-1);
    const first = sent[0];
    if (last !== undefined) moves.push(['echo', () => echo(world, last)]);
    if (first !== undefined) moves.push(['old echo', () => echo(world, first)]);
    if (sent.includes('commit')) moves.push(['late commit', () => echo(world, 'commit')]);
    if (destination.hypervisor === 'gone') {
      moves.push([
        'reported',
        () => world.dispatch({ type: 'destination-lost', error: unreachable }),
      ]);
    }
  }
  return moves;
}

/** One hypervisor is gone: rarer, or else nothing much would ever happen. */
function deaths(world: World): Move[] {
  const moves: Move[] = [];
  const { destination } = world;
  if (world.run !== 'gone') moves.push(['source dies', dies]);
  if (destination?.hypervisor === 'paused' || destination?.hypervisor === 'running') {
    moves.push(['destination dies', () => destination.dies()]);
  }
  return moves;
}

function breaks(world: World): void {
  world.says('failed', 'failed');
  world.runsAgain();
}

function dies(world: World): void {
  world.run = 'gone';
  world.unheard.push({ type: 'lost', reason: 'killed' });
}

/** A message that the network doubled arrives; nobody waits for the answer. */
function echo(world: World, call: World['sent'][number]): void {
  try {
    world.destination?.call(call);
  } catch {
    // A refusal goes to nobody.
  }
  world.check();
}

export interface Chaos {
  /** Hypervisors may die. */
  readonly deaths: boolean;
  /** Effects, links and movers may fail. */
  readonly faults: boolean;
  /** Of the migration; the mode is chance where none is said. */
  readonly settings?: Partial<MigrationSettings>;
}

/** One chosen move; its name is returned, so that a failing run can be read. */
function step(world: World, choice: number, chaos: Chaos): string {
  const good = goodMoves(world);
  const other = [
    ...askingMoves(world),
    ...(chaos.faults ? faults(world) : []),
    ...(chaos.deaths && choice % 7 === 0 ? deaths(world) : []),
  ];
  // Mostly on: else no run gets far.
  const moves = good.length > 0 && choice % 16 < 13 ? good : other;
  const move = moves[Math.floor(choice / 16) % moves.length];
  if (move === undefined) return 'nothing';
  move[1](world);
  return move[0];
}

/** What happens next when nothing goes wrong and the guest dirties little; undefined when nothing does by itself. */
function next(world: World): Move | undefined {
  const { doing, plan } = world.state;
  const moves = goodMoves(world);
  const busy = world.pending.length > 0 || world.unheard.length > 0;
  const flowing = doing.kind === 'do' && doing.step === 'memory' && world.stream === 'active';
  if (!busy && flowing && plan.settings.mode !== 'precopy') return ['decide', decide];
  return busy ? moves[0] : moves.at(-1);
}

/** Straight on to the end; throws when nothing that could happen would end it. */
export function settle(world: World): void {
  for (let count = 0; !world.ended; count += 1) {
    const move = next(world) ?? reported(world) ?? late(world);
    if (count > 500 || move === undefined) {
      const { state, stream, run } = world;
      throw new Error(`it does not end: ${JSON.stringify({ state, stream, run })}`);
    }
    move[1](world);
  }
}

/** The source asks its destination all the time: one whose hypervisor has ended says so before any deadline. */
function reported(world: World): Move | undefined {
  if (world.destination?.hypervisor !== 'gone' || reportedAlready.has(world)) return undefined;
  reportedAlready.add(world);
  return ['reported', () => world.dispatch({ type: 'destination-lost', error: unreachable })];
}
const reportedAlready = new WeakSet<World>();

function late(world: World): Move | undefined {
  return world.timer ? ['timeout', timeout] : undefined;
}

/** Goes on without faults until `done` says so; throws when it never does. */
export function driveUntil(world: World, done: (world: World) => boolean): void {
  for (let count = 0; !done(world); count += 1) {
    const move = next(world);
    if (world.ended || count > 500 || move === undefined) throw new Error('it does not come there');
    move[1](world);
  }
}

/** A world as chance left it, still going or ended, and the names of the moves that led there. */
export function chance(chaos: Chaos): fc.Arbitrary<{ world: World; moves: string[] }> {
  return fc
    .tuple(
      fc.constantFrom('precopy' as const, 'postcopy' as const, 'hybrid' as const),
      fc.boolean(),
      fc.nat(40),
      fc.array(fc.nat(100_000), { maxLength: 80 }),
    )
    .map(([mode, copies, calm, choices]) => {
      const world = new World(planned({ mode, ...chaos.settings }), copies);
      for (let count = 0; count < calm; count += 1) next(world)?.[1](world);
      const moves = choices.map((choice) => step(world, choice, chaos));
      return { world, moves };
    });
}
