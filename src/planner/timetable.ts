/**
 * Starts and ends of moves in a given order, each starting as soon as limits and links permit. A move has a fixed time
 * before and after its memory flows, and sends written memory again.
 */
import { END_MS, START_MS } from '../migration/prediction/parameters.ts';
import { MAX_DIRTY } from './cost.ts';
import { shareOut, type Flow } from './flow.ts';

export interface Transfer {
  readonly from: string;
  readonly to: string;
  /** Bytes of the first pass: used pages if known. */
  readonly memoryBytes: number;
  readonly dirtyBytesPerSecond: number;
  /** Limit of each later pass. */
  readonly workingSetBytes?: number | undefined;
  /** Already running: remaining bytes, and time until memory flows, s. */
  readonly running?: { readonly leftBytes: number; readonly leadSeconds: number } | undefined;
}

export interface Links {
  bytesPerSecond(host: string): number;
  /** A link shared with others, such as one between sites. */
  trunk?(
    from: string,
    to: string,
  ): { readonly name: string; readonly bytesPerSecond: number } | undefined;
  /** Limit of one move on any link, bytes/s. */
  readonly mostPerMove?: number;
  /** Concurrent moves: in all, out of one host, into one host. */
  readonly parallel: number;
  readonly out: number;
  readonly in: number;
  between?(from: string, to: string): number | undefined;
}

export interface Pace {
  /** A move starts while the running ones' demand on each of its links is below this multiple of the link's rate. */
  readonly fill: number;
  /** A move that ends within this time, s, no longer counts, which hides the next one's fixed time. */
  readonly ahead: number;
}

/** Factors on expectations; 1: as measured. `carries`: real link rates, while starts use nominal ones. */
export interface Weather {
  readonly link: number;
  readonly dirty: number;
  readonly fixed: number;
  readonly carries?: readonly number[];
}

const FAIR: Weather = { link: 1, dirty: 1, fixed: 1 };
const LEAD_S = START_MS / 1000;
const TAIL_S = END_MS / 1000;
/** Slowest progress of a guest that writes faster than its link share: throttling ensures it. */
const MIN_PROGRESS = 1 - MAX_DIRTY;
const HAIR = 1e-9;

interface Move {
  readonly index: number;
  readonly resources: readonly number[];
  /** The limit by nominal links, and on any link, bytes/s. */
  readonly most: number;
  readonly ceiling: number;
  readonly limits: readonly number[];
  readonly transfer: Transfer;
}

export interface Problem {
  readonly moves: readonly Move[];
  readonly capacity: readonly number[];
  readonly names: readonly string[];
  readonly most: readonly number[];
}

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

/** `factors`: real link rates as parts of nominal ones, by name. */
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
  timeLeft: number;
}

export interface Watch {
  started?(index: number, seconds: number): void;
  ended?(index: number, seconds: number): void;
}

/** Seconds until the last move has ended; Infinity if a limit prevents a start. */
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
    // The pass's maximum of writes, spread over the pass.
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

  /** Time to the next change: the end of a lead, memory or move, or permission for the next start. */
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
