import { begin } from './begin.ts';
import { bounded } from './bounds.ts';
import { leftOf, sinceWhen, type RemainingWork } from './candidates.ts';
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
import { nextRequestPhase, type Situation } from './transition.ts';
import {
  isRequestEnd,
  type Move,
  type FleetRequest,
} from '../../protocol/controller/fleet-request.ts';

export interface StepInput {
  readonly request: FleetRequest;
  readonly moves: readonly Move[];
  readonly sights: ReadonlyMap<string, Sight>;
  readonly world: World;
  readonly cancel: Cancel;
  readonly mode?: ModeHeard | undefined;
  /** This round's answers of hosts that must be empty; absent: none was asked. */
  readonly occupancies?: ReadonlyMap<string, HostHeard> | undefined;
  readonly epoch: number;
  readonly ids: readonly string[];
}

export interface StepOutput {
  readonly request: FleetRequest;
  /** The given moves updated, then the new ones, which begin once stored. */
  readonly moves: readonly Move[];
  readonly closes?: string;
  readonly opens?: string;
  /** It begins more than moves, so a stored cancel makes it void. */
  readonly begins?: boolean;
  /** Hosts to ask whether they are empty; the step is repeated with their answers before it is stored. */
  readonly asks?: readonly string[];
}

/** Pure. The caller stores the whole output under its epoch before it asks an agent. */
export function step(input: StepInput): StepOutput {
  const { request, cancel } = input;
  if (isRequestEnd(request.phase)) return { request, moves: input.moves };
  const isCancelled = cancel !== 'no' || request.phase === 'cancelling';
  const inMode = withMode(request, input.mode, input.world, isCancelled);
  const carried = carryMoves({ ...input, request: inMode }, !isCancelled);
  const { left, world } = carried;
  const blocking = blockingOf(left.stays, world);
  const situation = situationWithMode(carried.situation, inMode.maintenanceMode, blocking);
  const ending = nextRequestPhase(request.phase, situation, isCancelled);
  const phase = ending === 'left' && isMoveCancelled(carried.request) ? 'cancelled' : ending;
  const queue = isRequestEnd(phase) ? [] : carried.request.queue;
  const next: FleetRequest = { ...carried.request, phase, queue, stays: [...left.stays] };
  const words = wordsOf({ ...carried, request: next });
  return {
    request: bounded({
      ...next,
      words,
      ...(isRequestEnd(phase) ? { endedAtMs: world.nowMs } : {}),
    }),
    moves: carried.moves,
    asks: isRequestEnd(phase) ? [] : carried.asks,
  };
}

const isMoveCancelled = ({ ask, tries }: FleetRequest): boolean =>
  ask.kind === 'migration' && ownOf(tries, ask.guest ?? '')?.cancelled !== undefined;

export interface RequestProgress extends Pick<Confirmation, 'asks' | 'unconfirmed'> {
  /** The request with its plan, queue and results; the phase is unchanged. */
  readonly request: FleetRequest;
  readonly moves: readonly Move[];
  readonly left: RemainingWork;
  readonly situation: Situation;
  readonly world: World;
}

const NO_ANSWERS: ReadonlyMap<string, HostHeard> = new Map();

export function carryMoves(input: StepInput, mayBegin: boolean): RequestProgress {
  const { request, cancel, epoch } = input;
  const world = meantBy(request, input.moves, input.world);
  const isCancelled = cancel !== 'no' || request.phase === 'cancelling';
  const looked = input.moves
    .map((each) => sighted(each, input.sights.get(each.id), world))
    .map((each) => (isCancelled ? withdrawn(each) : each));
  const after = triesAfter(request, input.moves, looked, { nowMs: world.nowMs, isCancelled });
  const moves = looked.map((each) =>
    callOf(each, epoch, cancel) === 'store-epoch' ? { ...each, askedEpoch: epoch } : each,
  );
  const now = { ...world, reservations: reservationsAfter(world.reservations, moves) };
  const left = leftOf(after, moves.filter(isUnderway), now);
  const begun = mayBegin
    ? begin({ request: after, left, open: moves.filter(isUnderway), world: now }, input)
    : { request: after, moves: [], queue: [] };
  const all = [...moves, ...begun.moves];
  const next: FleetRequest = { ...begun.request, queue: [...begun.queue] };
  const rest = mayBegin && !isSiteSilent(after, now) ? withLeft(next, all, left) : left;
  const listed = { request: next, left: rest, world: now };
  const found = situationOf(all, rest);
  if (isCancelled) return { ...listed, moves: all, situation: found, asks: [], unconfirmed: [] };
  const { waiting, ...confirmation } = confirmed(found, listed, input.occupancies ?? NO_ANSWERS);
  const queue = [...next.queue, ...waiting];
  return { ...listed, request: { ...next, queue }, moves: all, ...confirmation };
}

/**
 * Tells whether the other site is silent as a whole, for example because its line is cut: until the deadline it may
 * come back.
 */
function isSiteSilent({ ask }: FleetRequest, { hosts, nowMs }: World): boolean {
  const { sites, deadlineAtMs = Infinity } = ask;
  if (sites === undefined || nowMs > deadlineAtMs) return false;
  const there = [...hosts.values()].filter(({ site }) => site === sites.to);
  return there.length > 0 && there.every(({ silentSinceMs }) => silentSinceMs !== undefined);
}

/** An evacuation by a deadline ends when nothing moves or can begin: the rest stays, each with a reason. */
function withLeft(
  { ask, order, refused }: FleetRequest,
  moves: readonly Move[],
  left: RemainingWork,
): RemainingWork {
  if (ask.sites === undefined || order.length > 0) return left;
  if (moves.some(({ settled }) => !settled)) return left;
  const stays = left.candidates.map(({ guest, from }) => {
    return { guest, host: from, words: ownOf(refused, guest) ?? 'the plan has no place for it' };
  });
  return { ...left, candidates: [], stays: [...left.stays, ...stays] };
}

/** Reservations after these moves are stored: none for settled moves, only memory for ended ones. */
function reservationsAfter(
  reservations: readonly Reservation[],
  moves: readonly Move[],
): Reservation[] {
  const own = new Set(moves.map(({ id }) => id));
  const others = reservations.filter(({ move }) => !own.has(move));
  return [...others, ...moves.flatMap((each) => reservationOf(each) ?? [])];
}

export function reservationOf(move: Move): Reservation | undefined {
  const { id, request, guest, from, to, memoryBytes, phase, settled } = move;
  if (settled) return undefined;
  const source = isOpen(phase) ? { source: from } : {};
  return { move: id, request, guest, host: to, ...source, memoryBytes };
}

/** The host's agent may have got the order; that it does not begin is proved later. */
const withdrawn = (move: Move): Move =>
  move.phase === 'chosen' ? { ...move, phase: 'withdrawing' } : move;

const isUnderway = ({ phase }: Move): boolean => isOpen(phase);

function situationOf(moves: readonly Move[], left: RemainingWork): Situation {
  if (moves.some(({ settled }) => !settled)) return 'open';
  if (left.blind.length > 0) return 'blind';
  if (left.candidates.length + left.waiting.length > 0) return 'able';
  return left.stays.length > 0 ? 'stuck' : 'fulfilled';
}

const many = (count: number): string => (count === 1 ? '1 guest' : `${count} guests`);

export function wordsOf(carried: Omit<RequestProgress, 'situation' | 'asks'>): string {
  const { request, moves, left, world, unconfirmed } = carried;
  const open = moves.filter(isUnderway).length;
  const held = moves.find(({ phase }) => phase === 'held');
  const late = request.ask.deadlineAtMs !== undefined && world.nowMs > request.ask.deadlineAtMs;
  const parts = [
    ...(request.moved > 0 || request.phase === 'done'
      ? [`${many(request.moved)} ${isRecovery(request) ? 'started elsewhere' : 'moved'}`]
      : []),
    ...(request.maintenanceMode === undefined
      ? []
      : [modeWords(request.maintenanceMode, request.ask.hosts[0] ?? '')]),
    ...(open > 0 ? [`${open} under way`] : []),
    ...(request.queue.length > 0 ? [`${request.queue.length} waiting`] : []),
    ...(left.stays.length > 0
      ? [
          left.stays.length === 1
            ? '1 guest stays where it is'
            : `${left.stays.length} guests stay where they are`,
        ]
      : []),
    ...(held === undefined ? [] : [`${held.id} is held: a person must decide it`]),
    ...(request.phase === 'working' ? left.blind.map((host) => blindWords(world, host)) : []),
    ...(isRequestEnd(request.phase) ? [] : unconfirmed.slice(0, 3)),
    ...(late && !isRequestEnd(request.phase) ? ['it is later than its deadline'] : []),
  ];
  return parts.length === 0 ? START_WORDS[request.phase] : parts.join(', ');
}

const blindWords = (world: World, host: string): string =>
  host === 'its host' ? 'no host that answers has the guest' : sinceWhen(world, host);

const START_WORDS: Readonly<Record<FleetRequest['phase'], string>> = {
  working: 'it begins',
  cancelling: 'it is being cancelled',
  done: 'nothing was to be moved',
  left: 'nothing more can be done',
  cancelled: 'nothing was moved',
};
