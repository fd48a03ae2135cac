/**
 * When each of a set of moves starts and ends, when they start in a given order as soon as limits and links let them.
 * A move takes a fixed time before its memory flows and after it, and sends again what its guest writes meanwhile.
 */
import { END_MS, START_MS } from '../migration/prediction/parameters.ts';
import { MAX_DIRTY } from './cost.ts';
import { shareOut, type Flow } from './flow.ts';

export interface Transfer {
  readonly from: string;
  readonly to: string;
  /** What is sent in the first pass: used pages where they are known. */
  readonly memoryBytes: number;
  readonly dirtyBytesPerSecond: number;
  /** At most so much is ever sent in a later pass. */
  readonly workingSetBytes?: number | undefined;
  /** It runs already: bytes of its memory that are left, and the time until its memory flows, s. */
  readonly running?: { readonly leftBytes: number; readonly leadSeconds: number } | undefined;
}

export interface Links {
  /** bytes/s, by host; out and in each. */
  bytesPerSecond(host: string): number;
  /** A link that these two share with others, such as one between sites. */
  trunk?(
    from: string,
    to: string,
  ): { readonly name: string; readonly bytesPerSecond: number } | undefined;
  /** The most that one move takes, whatever the link, bytes/s. */
  readonly mostPerMove?: number;
  /** Moves at a time: in all, out of one host, into one host. */
  readonly parallel: number;
  readonly out: number;
  readonly in: number;
  /** Moves at a time from this host to that. */
  between?(from: string, to: string): number | undefined;
}

/** How eagerly moves start. */
export interface Pace {
  /** A move starts while what runs on each of its links could take less than so many times what the link carries. */
  readonly fill: number;
  /** A move that ends within so many seconds counts no longer, so that the next one's fixed time hides behind it. */
  readonly ahead: number;
}

/** Factors on what is expected; 1 is as it was measured. `carries`: what links carry, while moves start by what is said. */
export interface Weather {
  readonly link: number;
  readonly dirty: number;
  readonly fixed: number;
  readonly carries?: readonly number[];
}

const FAIR: Weather = { link: 1, dirty: 1, fixed: 1 };
const LEAD_S = START_MS / 1000;
const TAIL_S = END_MS / 1000;
/** A guest that writes faster than its share of the link gets on no slower than this part of it: it is throttled. */
const MIN_PROGRESS = 1 - MAX_DIRTY;
const HAIR = 1e-9;

interface Move {
  readonly index: number;
  readonly resources: readonly number[];
  /** The most that it takes by what is said of its links, bytes/s; and whatever they carry. */
  readonly most: number;
  readonly ceiling: number;
  /** Numbers of the limits that it counts for. */
  readonly limits: readonly number[];
  readonly transfer: Transfer;
}

/** The transfers with their links and limits as numbers, so that many orders of them can be tried quickly. */
export interface Problem {
  readonly moves: readonly Move[];
  readonly capacity: readonly number[];
  readonly names: readonly string[];
  readonly most: readonly number[];
}

/** Hands out numbers for names. */
class Numbers {
  readonly values: number[] = [];
  readonly names: string[] = [];
  readonly #known = new Map<string, number>();
  readonly #factor: (name: string) => number;

  constructor(factor: (name: string) => number) {
    this.#factor = factor;
  }

  of(name: string, value: number): number {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    this.#known.set(name, this.values.length);
    this.names.push(name);
    return this.values.push(value * this.#factor(name)) - 1;
  }
}

/** `factors`: what links carry, by name, as a part of what is said of them. */
export function problemOf(
  transfers: readonly Transfer[],
  links: Links,
  factors: Readonly<Record<string, number>> = {},
): Problem {
  const resources = new Numbers((name) => factors[name] ?? 1);
  const limits = new Numbers(() => 1);
  const moves = transfers.map((transfer, index): Move => {
    const { from, to } = transfer;
    const path = [
      resources.of(`${from}, out`, links.bytesPerSecond(from)),
      resources.of(`${to}, in`, links.bytesPerSecond(to)),
    ];
    const trunk = links.trunk?.(from, to);
    if (trunk !== undefined) path.push(resources.of(trunk.name, trunk.bytesPerSecond));
    const counts = [
      limits.of('all', links.parallel),
      limits.of(`${from}, out`, links.out),
      limits.of(`${to}, in`, links.in),
    ];
    const between = links.between?.(from, to);
    if (between !== undefined) counts.push(limits.of(`${from}>${to}`, between));
    const narrowest = Math.min(...path.map((each) => resources.values[each] ?? Infinity));
    const ceiling = links.mostPerMove ?? Infinity;
    const most = Math.min(narrowest, ceiling);
    return { index, transfer, resources: path, limits: counts, most, ceiling };
  });
  return { moves, capacity: resources.values, names: resources.names, most: limits.values };
}

interface Run {
  readonly move: Move;
  readonly flow: Flow;
  lead: number;
  left: number;
  tail: number;
  /** s */
  timeLeft: number;
}

/** What hears of starts and ends, s from now. */
export interface Watch {
  started?(index: number, seconds: number): void;
  ended?(index: number, seconds: number): void;
}

/** Seconds until the last move has ended; Infinity where a limit lets one never start. */
export function secondsOf(
  problem: Problem,
  order: readonly number[],
  pace: Pace,
  watch: Watch = {},
  weather: Weather = FAIR,
): number {
  return new Timetable(problem, pace, weather).run(order, watch);
}

class Timetable {
  readonly #problem: Problem;
  readonly #pace: Pace;
  readonly #weather: Weather;
  readonly #capacity: readonly number[];
  readonly #carries: readonly number[];
  readonly #running: Run[] = [];
  readonly #counts: number[];

  constructor(problem: Problem, pace: Pace, weather: Weather) {
    this.#problem = problem;
    this.#pace = pace;
    this.#weather = weather;
    this.#capacity = problem.capacity.map((each) => each * weather.link);
    this.#carries = weather.carries ?? this.#capacity;
    this.#counts = problem.most.map(() => 0);
  }

  run(order: readonly number[], watch: Watch): number {
    const waiting: Move[] = [];
    for (const index of order) {
      const move = this.#problem.moves[index];
      if (move === undefined) continue;
      if (move.transfer.running === undefined) waiting.push(move);
      else this.#begin(move);
    }
    for (let seconds = 0; ;) {
      this.#expect();
      if (this.#start(waiting, seconds, watch)) this.#expect();
      if (this.#running.length === 0) return waiting.length === 0 ? seconds : Infinity;
      const step = this.#step();
      seconds += step;
      for (let place = this.#running.length - 1; place >= 0; place -= 1) {
        const each = this.#running[place];
        if (each === undefined || !advance(each, step, this.#progress(each))) continue;
        this.#running.splice(place, 1);
        for (const limit of each.move.limits) this.#counts[limit] = (this.#counts[limit] ?? 0) - 1;
        watch.ended?.(each.move.index, seconds);
      }
    }
  }

  #begin(move: Move): void {
    const { fixed } = this.#weather;
    const { running, memoryBytes } = move.transfer;
    const { resources, most, ceiling } = move;
    for (const limit of move.limits) this.#counts[limit] = (this.#counts[limit] ?? 0) + 1;
    this.#running.push({
      move,
      flow: { resources, most: ceiling, rate: most },
      lead: running?.leadSeconds ?? LEAD_S * fixed,
      left: running?.leftBytes ?? memoryBytes,
      tail: TAIL_S * fixed,
      timeLeft: Infinity,
    });
  }

  /** The rates of those whose memory flows, and what each has left, s. */
  #expect(): void {
    const flowing = this.#running.filter(({ lead, left }) => lead <= 0 && left > 0);
    const flows = flowing.map(({ flow }) => flow);
    shareOut(flows, this.#carries);
    for (const each of this.#running) {
      const { lead, left, tail } = each;
      each.timeLeft = lead + tail + (left > 0 ? left / this.#progress(each) : 0);
    }
  }

  #progress({ move, flow: { rate } }: Run): number {
    const { memoryBytes, dirtyBytesPerSecond, workingSetBytes = memoryBytes } = move.transfer;
    // What it can write at most within a pass, spread over the pass.
    const again = Math.min(
      dirtyBytesPerSecond * this.#weather.dirty,
      (rate * workingSetBytes) / Math.max(memoryBytes, 1),
    );
    return Math.max(rate - again, rate * MIN_PROGRESS, 1);
  }

  #start(waiting: Move[], seconds: number, watch: Watch): boolean {
    if (waiting.length === 0) return false;
    const { fill, ahead } = this.#pace;
    const load = this.#capacity.map(() => 0);
    for (const { move, timeLeft } of this.#running) {
      if (timeLeft > ahead + HAIR) for (const each of move.resources) add(load, each, move.most);
    }
    const { most } = this.#problem;
    let started = false;
    for (let place = 0; place < waiting.length;) {
      const move = waiting[place];
      if (move === undefined) break;
      if ((this.#counts[0] ?? 0) >= (most[0] ?? Infinity)) break;
      const limited = move.limits.some((each) => (this.#counts[each] ?? 0) >= (most[each] ?? 0));
      const full = move.resources.some(
        (each) => (load[each] ?? 0) >= (this.#capacity[each] ?? 0) * (fill - 0.01),
      );
      if (limited || full) {
        place += 1;
        continue;
      }
      waiting.splice(place, 1);
      for (const each of move.resources) add(load, each, move.most);
      this.#begin(move);
      started = true;
      watch.started?.(move.index, seconds);
    }
    return started;
  }

  /** Until something changes: a lead, the memory or a move ends, or one is so near its end that the next may start. */
  #step(): number {
    let next = Infinity;
    for (const { lead, left, timeLeft, tail } of this.#running) {
      const until = lead > 0 ? lead : left > 0 ? timeLeft - tail : tail;
      next = Math.min(next, until);
      const near = timeLeft - this.#pace.ahead;
      if (this.#pace.ahead > 0 && near > HAIR) next = Math.min(next, near);
    }
    return Math.max(next, 0);
  }
}

function add(to: number[], place: number, value: number): void {
  to[place] = (to[place] ?? 0) + value;
}

/** Whether it has ended after `step` seconds. */
function advance(run: Run, step: number, progress: number): boolean {
  if (run.lead > 0) {
    run.lead -= step;
    if (run.lead < HAIR) run.lead = 0;
    return false;
  }
  if (run.left > 0) {
    run.left -= progress * step;
    if (run.left <= Math.max(1, run.move.transfer.memoryBytes * HAIR)) run.left = 0;
    return false;
  }
  run.tail -= step;
  return run.tail < HAIR;
}
