/**
 * How long a set of moves takes together. Moves share links: at each moment a move has an equal part of its source's
 * link and of its destination's, and the smaller of both counts. What a guest writes meanwhile is sent again.
 */

import { MOST_DIRTY } from './cost.ts';

export interface Transfer {
  readonly from: string;
  readonly to: string;
  readonly memoryBytes: number;
  readonly dirtyBytesPerSecond: number;
}

export interface Links {
  /** bytes/s, by host */
  bytesPerSecond(host: string): number;
  /** Moves at a time, in all. */
  readonly parallel: number;
  /** Moves at a time out of one host, and into one. */
  readonly perHost: number;
}

/** A guest that writes faster than its share of the link gets on no slower than this part of it: it is throttled. */
const LEAST_PROGRESS = 1 - MOST_DIRTY;

interface Running<T extends Transfer> {
  readonly transfer: T;
  left: number;
  rate: number;
}

/**
 * Seconds until the last one has ended, when each starts in this order as soon as the limits let it. `ended` hears when
 * each one does, s.
 */
export function totalSeconds<T extends Transfer>(
  order: readonly T[],
  links: Links,
  ended?: (transfer: T, seconds: number) => void,
): number {
  const waiting = [...order];
  const running: Running<T>[] = [];
  const uses = new Map<string, number>();
  let seconds = 0;
  for (;;) {
    start(waiting, running, uses, links);
    if (running.length === 0) return waiting.length === 0 ? seconds : Infinity;
    let next = Infinity;
    for (const each of running) {
      each.rate = progress(each.transfer, uses, links);
      next = Math.min(next, each.left / each.rate);
    }
    seconds += next;
    for (let place = running.length - 1; place >= 0; place -= 1) {
      const each = running[place];
      if (each === undefined) continue;
      each.left -= each.rate * next;
      if (each.left > each.transfer.memoryBytes * 1e-9) continue;
      running.splice(place, 1);
      use(uses, each.transfer, -1);
      ended?.(each.transfer, seconds);
    }
  }
}

function start<T extends Transfer>(
  waiting: T[],
  running: Running<T>[],
  uses: Map<string, number>,
  { parallel, perHost }: Links,
): void {
  for (let place = 0; place < waiting.length && running.length < parallel;) {
    const transfer = waiting[place];
    if (transfer === undefined) return;
    const busy =
      (uses.get(`from ${transfer.from}`) ?? 0) >= perHost ||
      (uses.get(`to ${transfer.to}`) ?? 0) >= perHost;
    if (busy) {
      place += 1;
      continue;
    }
    waiting.splice(place, 1);
    use(uses, transfer, 1);
    running.push({ transfer, left: transfer.memoryBytes, rate: 0 });
  }
}

function progress(transfer: Transfer, uses: ReadonlyMap<string, number>, links: Links): number {
  const { from, to, dirtyBytesPerSecond } = transfer;
  const share = Math.min(
    links.bytesPerSecond(from) / (uses.get(`from ${from}`) ?? 1),
    links.bytesPerSecond(to) / (uses.get(`to ${to}`) ?? 1),
  );
  return Math.max(share - dirtyBytesPerSecond, share * LEAST_PROGRESS);
}

function use(uses: Map<string, number>, { from, to }: Transfer, change: 1 | -1): void {
  for (const key of [`from ${from}`, `to ${to}`]) uses.set(key, (uses.get(key) ?? 0) + change);
}

export interface Schedule<T extends Transfer> {
  readonly order: readonly T[];
  /** Moves at a time. */
  readonly parallel: number;
  readonly seconds: number;
}

/** Of so few, every order is tried: 120 at most. */
const ALL_ORDERS = 5;
/** Exchanges that are tried for each number at a time: a bound on how long a plan takes. */
const TRIES = 1000;
/** A simulated schedule costs about the square of its length. */
const TRIES_TIMES_SQUARE = 500_000;

/** The order and the number at a time that end soonest: a few good starts, then exchanges of two while they help. */
export function bestSchedule<T extends Transfer>(
  transfers: readonly T[],
  links: Links,
): Schedule<T> {
  const by = (key: (transfer: T) => number): T[] =>
    transfers.toSorted((left, right) => key(right) - key(left));
  const starts =
    transfers.length <= ALL_ORDERS
      ? ordersOf(transfers)
      : [
          [...transfers],
          by((transfer) => transfer.memoryBytes),
          by((transfer) => transfer.dirtyBytesPerSecond),
          by(({ dirtyBytesPerSecond }) => -dirtyBytesPerSecond),
          inTurn(by((transfer) => transfer.memoryBytes)),
        ];
  let best: Schedule<T> = { order: starts[0] ?? [], parallel: 1, seconds: Infinity };
  for (let parallel = 1; parallel <= Math.min(links.parallel, transfers.length); parallel += 1) {
    let first: Schedule<T> = { ...best, parallel, seconds: Infinity };
    for (const order of starts) {
      const seconds = totalSeconds(order, { ...links, parallel });
      if (seconds < first.seconds) first = { order, parallel, seconds };
    }
    const found = exchanged(first, links);
    if (found.seconds < best.seconds) best = found;
  }
  return best;
}

function ordersOf<T>(all: readonly T[]): T[][] {
  if (all.length <= 1) return [[...all]];
  return all.flatMap((first, place) =>
    ordersOf(all.toSpliced(place, 1)).map((rest) => [first, ...rest]),
  );
}

/** One for each destination, then the next for each, so that no destination is idle early. */
function inTurn<T extends Transfer>(transfers: readonly T[]): T[] {
  const queues = new Map<string, T[]>();
  for (const transfer of transfers) {
    queues.set(transfer.to, [...(queues.get(transfer.to) ?? []), transfer]);
  }
  const order: T[] = [];
  while (order.length < transfers.length) {
    for (const queue of queues.values()) {
      const next = queue.shift();
      if (next !== undefined) order.push(next);
    }
  }
  return order;
}

/** Better by exchanging two, or by bringing one to another's place, for as long as that helps and the bound allows. */
function exchanged<T extends Transfer>(start: Schedule<T>, links: Links): Schedule<T> {
  const count = start.order.length;
  let tries = Math.min(TRIES, Math.floor(TRIES_TIMES_SQUARE / Math.max(1, count * count)));
  let best = start;
  for (let improved = true; improved && tries > 0;) {
    improved = false;
    for (let pair = 0; pair < count * count && tries > 0; pair += 1) {
      const [one, other] = [Math.floor(pair / count), pair % count];
      if (one === other) continue;
      tries -= 2;
      for (const order of [swapped(best.order, one, other), brought(best.order, one, other)]) {
        const seconds = totalSeconds(order, { ...links, parallel: best.parallel });
        if (seconds >= best.seconds) continue;
        best = { order, parallel: best.parallel, seconds };
        improved = true;
      }
    }
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
