import { begin } from './begin.ts';
import { bounded } from './bounds.ts';
import { leftOf, sinceWhen, type Left } from './candidates.ts';
import { ownOf, type Reservation, type World } from './facts.ts';
import { callOf, isOpen, type Cancel } from './moves.ts';
import {
  blockingOf,
  modeWords,
  situationWithMode,
  withMode,
  type ModeHeard,
} from './maintenance-mode.ts';
import { meantBy } from './namesakes.ts';
import { confirmed, type Confirmation, type HostHeard } from './occupancy.ts';
import { isRecovery } from './recover.ts';
import { sighted, triesAfter, type Sight } from './settle.ts';
import { nextWishPhase, type Situation } from './transition.ts';
import { isWishEnd, type Move, type Wish } from '../../protocol/controller/wish.ts';

export interface StepInput {
  readonly wish: Wish;
  /** Of this wish: those that are open or not settled. */
  readonly moves: readonly Move[];
  /** What agents answered, by the id of the move. */
  readonly sights: ReadonlyMap<string, Sight>;
  readonly world: World;
  readonly cancel: Cancel;
  /** Of the mode of a manager's host; absent: nothing was asked, or nothing was answered yet. */
  readonly mode?: ModeHeard | undefined;
  /** Answers of hosts that are to be empty, from this round; absent: none was asked. */
  readonly occupancies?: ReadonlyMap<string, HostHeard> | undefined;
  /** The claim under which this step is made. */
  readonly epoch: number;
  /** Ids for new moves, never used before; as many as it may begin. */
  readonly ids: readonly string[];
}

export interface StepOutput {
  readonly wish: Wish;
  /** The given ones as they are now, and behind them those that begin once they are stored. */
  readonly moves: readonly Move[];
  /** A host to which nothing comes from now on, and one to which guests may come again. */
  readonly closes?: string;
  readonly opens?: string;
  /** It begins something besides moves, so that it is void once a cancel is stored. */
  readonly begins?: boolean;
  /** Hosts that are asked whether they are empty, and with whose answers this step is taken again before it is stored. */
  readonly asks?: readonly string[];
}

/** One step of a wish: pure. Whoever takes it stores all of the output at once, under its epoch, before it asks an agent. */
export function step(input: StepInput): StepOutput {
  const { wish, cancel } = input;
  if (isWishEnd(wish.phase)) return { wish, moves: input.moves };
  const isCancelled = cancel !== 'no' || wish.phase === 'cancelling';
  const inMode = withMode(wish, input.mode, input.world, isCancelled);
  const carried = carryMoves({ ...input, wish: inMode }, !isCancelled);
  const { left, world } = carried;
  const blocking = blockingOf(left.stays, world);
  const situation = situationWithMode(carried.situation, inMode.maintenanceMode, blocking);
  const ending = nextWishPhase(wish.phase, situation, isCancelled);
  // Its only move was cancelled, and with it the whole of it.
  const phase = ending === 'left' && isMoveCancelled(carried.wish) ? 'cancelled' : ending;
  const queue = isWishEnd(phase) ? [] : carried.wish.queue;
  const next: Wish = { ...carried.wish, phase, queue, stays: [...left.stays] };
  const words = wordsOf({ ...carried, wish: next });
  return {
    wish: bounded({ ...next, words, ...(isWishEnd(phase) ? { endedAtMs: world.nowMs } : {}) }),
    moves: carried.moves,
    asks: isWishEnd(phase) ? [] : carried.asks,
  };
}

const isMoveCancelled = ({ ask, tries }: Wish): boolean =>
  ask.kind === 'migration' && ownOf(tries, ask.guest ?? '')?.cancelled !== undefined;

/** The moves of a wish one look further. */
export interface Carried extends Pick<Confirmation, 'asks' | 'unconfirmed'> {
  /** With its plan, its queue and what became of its moves; its phase is as before. */
  readonly wish: Wish;
  readonly moves: readonly Move[];
  readonly left: Left;
  readonly situation: Situation;
  /** With the reservations of these moves. */
  readonly world: World;
}

const NO_ANSWERS: ReadonlyMap<string, HostHeard> = new Map();

/** Takes what agents answered, and begins the moves that may begin. */
export function carryMoves(input: StepInput, mayBegin: boolean): Carried {
  const { wish, cancel, epoch } = input;
  const world = meantBy(wish, input.moves, input.world);
  const isCancelled = cancel !== 'no' || wish.phase === 'cancelling';
  const looked = input.moves
    .map((each) => sighted(each, input.sights.get(each.id), world))
    .map((each) => (isCancelled ? withdrawn(each) : each));
  const after = triesAfter(wish, input.moves, looked, { nowMs: world.nowMs, isCancelled });
  const moves = looked.map((each) =>
    callOf(each, epoch, cancel) === 'store-epoch' ? { ...each, askedEpoch: epoch } : each,
  );
  const now = { ...world, reservations: reservationsAfter(world.reservations, moves) };
  const left = leftOf(after, moves.filter(isUnderway), now);
  const begun = mayBegin
    ? begin({ wish: after, left, open: moves.filter(isUnderway), world: now }, input)
    : { wish: after, moves: [], queue: [] };
  const all = [...moves, ...begun.moves];
  const next: Wish = { ...begun.wish, queue: [...begun.queue] };
  const rest = mayBegin && !isSiteSilent(after, now) ? withLeft(next, all, left) : left;
  const listed = { wish: next, left: rest, world: now };
  const found = situationOf(all, rest);
  // A request that is cancelled reports nothing about its hosts.
  if (isCancelled) return { ...listed, moves: all, situation: found, asks: [], unconfirmed: [] };
  const { waiting, ...confirmation } = confirmed(found, listed, input.occupancies ?? NO_ANSWERS);
  const queue = [...next.queue, ...waiting];
  return { ...listed, wish: { ...next, queue }, moves: all, ...confirmation };
}

/** Whether nobody hears any host of the other site, as when its line is cut: until the deadline it may come back. */
function isSiteSilent({ ask }: Wish, { hosts, nowMs }: World): boolean {
  const { sites, deadlineAtMs = Infinity } = ask;
  if (sites === undefined || nowMs > deadlineAtMs) return false;
  const there = [...hosts.values()].filter(({ site }) => site === sites.to);
  return there.length > 0 && there.every(({ silentSinceMs }) => silentSinceMs !== undefined);
}

/** An evacuation by a deadline is over once nothing moves and nothing more can begin: the others stay, each with its reason. */
function withLeft({ ask, order, refused }: Wish, moves: readonly Move[], left: Left): Left {
  if (ask.sites === undefined || order.length > 0) return left;
  if (moves.some(({ settled }) => !settled)) return left;
  const stays = left.candidates.map(({ guest, from }) => {
    return { guest, host: from, words: ownOf(refused, guest) ?? 'the plan has no place for it' };
  });
  return { ...left, candidates: [], stays: [...left.stays, ...stays] };
}

/** The reservations once these moves are stored: none for what is settled, only memory for what has ended. */
function reservationsAfter(
  reservations: readonly Reservation[],
  moves: readonly Move[],
): Reservation[] {
  const own = new Set(moves.map(({ id }) => id));
  const others = reservations.filter(({ move }) => !own.has(move));
  return [...others, ...moves.flatMap((each) => reservationOf(each) ?? [])];
}

export function reservationOf(move: Move): Reservation | undefined {
  const { id, wish, guest, from, to, memoryBytes, phase, settled } = move;
  if (settled) return undefined;
  const source = isOpen(phase) ? { source: from } : {};
  return { move: id, wish, guest, host: to, ...source, memoryBytes };
}

/** Its agent may have heard of it: that it does not begin is proved afterwards. */
const withdrawn = (move: Move): Move =>
  move.phase === 'chosen' ? { ...move, phase: 'withdrawing' } : move;

const isUnderway = ({ phase }: Move): boolean => isOpen(phase);

function situationOf(moves: readonly Move[], left: Left): Situation {
  if (moves.some(({ settled }) => !settled)) return 'open';
  if (left.blind.length > 0) return 'blind';
  if (left.candidates.length + left.waiting.length > 0) return 'able';
  return left.stays.length > 0 ? 'stuck' : 'fulfilled';
}

const many = (count: number): string => (count === 1 ? '1 guest' : `${count} guests`);

/** Where its moves stand. */
export function wordsOf(carried: Omit<Carried, 'situation' | 'asks'>): string {
  const { wish, moves, left, world, unconfirmed } = carried;
  const open = moves.filter(isUnderway).length;
  const held = moves.find(({ phase }) => phase === 'held');
  const late = wish.ask.deadlineAtMs !== undefined && world.nowMs > wish.ask.deadlineAtMs;
  const parts = [
    ...(wish.moved > 0 || wish.phase === 'done'
      ? [`${many(wish.moved)} ${isRecovery(wish) ? 'started elsewhere' : 'moved'}`]
      : []),
    ...(wish.maintenanceMode === undefined
      ? []
      : [modeWords(wish.maintenanceMode, wish.ask.hosts[0] ?? '')]),
    ...(open > 0 ? [`${open} under way`] : []),
    ...(wish.queue.length > 0 ? [`${wish.queue.length} waiting`] : []),
    ...(left.stays.length > 0
      ? [
          left.stays.length === 1
            ? '1 guest stays where it is'
            : `${left.stays.length} guests stay where they are`,
        ]
      : []),
    ...(held === undefined ? [] : [`${held.id} is held: a person must decide it`]),
    ...(wish.phase === 'working' ? left.blind.map((host) => blindWords(world, host)) : []),
    ...(isWishEnd(wish.phase) ? [] : unconfirmed.slice(0, 3)),
    ...(late && !isWishEnd(wish.phase) ? ['it is later than its deadline'] : []),
  ];
  return parts.length === 0 ? START_WORDS[wish.phase] : parts.join(', ');
}

const blindWords = (world: World, host: string): string =>
  host === 'its host' ? 'no host that answers has the guest' : sinceWhen(world, host);

const START_WORDS: Readonly<Record<Wish['phase'], string>> = {
  working: 'it begins',
  cancelling: 'it is being cancelled',
  done: 'nothing was to be moved',
  left: 'nothing more can be done',
  cancelled: 'nothing was moved',
};
