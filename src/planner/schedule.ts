/** Order and pace of a set of moves with the earliest end. Pure. */

import { secondsOf, type Pace, type Problem, type Transfer } from './timetable.ts';

export interface Schedule {
  readonly problem: Problem;
  readonly order: readonly number[];
  readonly pace: Pace;
  readonly seconds: number;
}

/** Up to this number all orders are tried, 120 at most. */
const ALL_ORDERS = 5;
/** Tried paces: from one move per full link to eight, each with and without hiding the fixed time. */
const FILLS = [1, 1.5, 2, 3, 4, 8] as const;
/** The next move's fixed time, and more, because ends are uncertain. */
const AHEAD_S = [0, 2.5, 5] as const;
const PACES: readonly Pace[] = FILLS.flatMap((fill) =>
  (fill > 2 ? [0] : AHEAD_S).map((ahead) => ({ fill, ahead })),
);
/** A timetable costs about the square of its length, so this bounds the planning time. */
const WORK = 4_000_000;
const MAX_TRIES = 1500;
const MIN_TRIES = 40;
/** A repeated plan searches this many times less. */
const AGAIN = 8;
/** Starts per pace that are evaluated under uncertain links. */
const OF_A_PACE = 2;
const IMPROVED = 2;

/** Deviation of links from nominal: the spread of the logarithm. */
const LINK_OFF = 0.1;
/** Pairs of opposite scenarios; fewer for long schedules, since each costs a timetable. */
const PAIRS = 2;
const FEW_PAIRS = 1;
const LONG = 64;

export function triesFor(count: number): number {
  const tries = Math.floor(WORK / Math.max(1, count * count));
  return Math.max(MIN_TRIES, Math.min(MAX_TRIES, tries));
}

/**
 * Deterministic scenarios of link rates. Nominally one move may fill a link, but only if its other link is as fast, and
 * nominally equal links are not equal.
 */
function truthsOf({ capacity, moves }: Problem): number[][] {
  let state = 1;
  const off = (): number => {
    let sum = -2;
    for (let draw = 0; draw < 4; draw += 1) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      sum += state / 2 ** 32;
    }
    return sum * Math.sqrt(3);
  };
  const pairs = moves.length > LONG ? FEW_PAIRS : PAIRS;
  return Array.from({ length: pairs }, () => {
    const offs = capacity.map(off);
    return [1, -1].map((sign) =>
      capacity.map((each, at) => each * Math.exp(sign * LINK_OFF * (offs[at] ?? 0))),
    );
  }).flat();
}

interface ScoredSchedule extends Schedule {
  readonly expected: number;
}

/**
 * The order and pace with the earliest expected end: a few good starts per pace, then exchanges within the bound.
 * `first`: an earlier plan's order, tried first.
 */
export function bestSchedule(problem: Problem, first: readonly number[] = []): Schedule {
  const starts = startsOf(problem, first);
  const truths = truthsOf(problem);
  const count = problem.moves.length;
  let tries = triesFor(count);
  if (first.length > 0) tries = Math.floor(tries / AGAIN);
  const found = PACES.flatMap((pace) => {
    const all = starts
      .map((order): Schedule => {
        tries -= 1;
        return { problem, order, pace, seconds: secondsOf(problem, order, pace) };
      })
      .toSorted((left, right) => left.seconds - right.seconds);
    return all.slice(0, OF_A_PACE).map((each) => tried(each, truths));
  }).toSorted((left, right) => left.expected - right.expected);
  const [best] = found;
  if (best === undefined) throw new RangeError('there is no pace to try');
  if (count <= ALL_ORDERS) return best;
  const each = Math.floor(Math.max(0, tries) / IMPROVED);
  // Nominal rates: exchanges would overfit the few scenarios.
  return found
    .slice(0, IMPROVED)
    .flatMap((start) => [start, tried(exchanged(start, each), truths)])
    .reduce((left, right) => (right.expected < left.expected ? right : left));
}

function tried(schedule: Schedule, truths: readonly (readonly number[])[]): ScoredSchedule {
  const { problem, order, pace, seconds } = schedule;
  const all = truths.map((carries) => {
    return secondsOf(problem, order, pace, {}, { link: 1, dirty: 1, fixed: 1, carries });
  });
  const sum = all.reduce((one, other) => one + other, seconds);
  return { ...schedule, expected: sum / (1 + all.length) };
}

function startsOf({ moves, capacity }: Problem, first: readonly number[]): number[][] {
  const all = moves.map(({ index }) => index);
  if (all.length <= ALL_ORDERS) return ordersOf(all);
  const by = (key: (index: number) => number): number[] =>
    all.toSorted((left, right) => key(right) - key(left));
  const transfer = (index: number): Transfer | undefined => moves[index]?.transfer;
  const solo = (index: number): number =>
    (transfer(index)?.memoryBytes ?? 0) / (moves[index]?.most ?? 1);
  // Rest of its bottleneck's work, s: the busiest link must never wait.
  const load = capacity.map(() => 0);
  for (const { resources, transfer: each } of moves) {
    for (const one of resources) load[one] = (load[one] ?? 0) + each.memoryBytes;
  }
  const pressing = (index: number): number =>
    Math.max(
      ...(moves[index]?.resources.slice(1) ?? []).map(
        (one) => (load[one] ?? 0) / (capacity[one] ?? 1),
      ),
    );
  const dirty = (index: number): number => transfer(index)?.dirtyBytesPerSecond ?? 0;
  const bySize = by(solo);
  return [
    ...(first.length === all.length ? [[...first]] : []),
    bySize,
    inTurn(bySize, moves),
    by(pressing),
    by(dirty),
    by((index) => -dirty(index)),
  ];
}

function ordersOf<T>(all: readonly T[]): T[][] {
  if (all.length <= 1) return [[...all]];
  return all.flatMap((first, place) =>
    ordersOf(all.toSpliced(place, 1)).map((rest) => [first, ...rest]),
  );
}

/** Round robin over destinations, so that none is idle early. */
function inTurn(order: readonly number[], moves: Problem['moves']): number[] {
  const queues = Map.groupBy(order, (index) => moves[index]?.transfer.to);
  const turns: number[] = [];
  for (let turn = 0; turns.length < order.length; turn += 1) {
    for (const queue of queues.values()) turns.push(...queue.slice(turn, turn + 1));
  }
  return turns;
}

/** Improves by exchanging or moving entries; deterministic pairs, spread over the order. */
function exchanged(start: Schedule, tries: number): Schedule {
  const count = start.order.length;
  let best = start;
  let pair = 0;
  for (let left = tries; left > 0; left -= 1) {
    pair = (pair * 1_103_515 + 12_345) % 2_147_483_648;
    const one = Math.floor(pair / 65_536) % count;
    pair = (pair * 1_103_515 + 12_345) % 2_147_483_648;
    const other = Math.floor(pair / 65_536) % count;
    if (one === other) continue;
    const order =
      left % 2 === 0 ? swapped(best.order, one, other) : brought(best.order, one, other);
    const seconds = secondsOf(best.problem, order, best.pace);
    if (seconds < best.seconds) best = { ...best, order, seconds };
  }
  return best;
}

function swapped<T>(order: readonly T[], one: number, other: number): T[] {
  return order.map((each, place) => {
    if (place !== one && place !== other) return each;
    return order[place === one ? other : one] ?? each;
  });
}

function brought<T>(order: readonly T[], from: number, to: number): T[] {
  const moved = order.slice(from, from + 1);
  return order.toSpliced(from, 1).toSpliced(to, 0, ...moved);
}
