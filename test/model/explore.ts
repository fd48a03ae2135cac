import { DestinationBook, SourceBook } from './journals.ts';
import type { Context, Kind, Rule } from './context.ts';
import { Choices } from './choices.ts';
import { destinationMoverMoves } from './destination-mover.ts';
import { faultMoves } from './faults.ts';
import { destinationHypervisorMoves, sourceHypervisorMoves } from './hypervisors.ts';
import { operatorMoves } from './operator.ts';
import { brokenRule, isOver } from './properties.ts';
import type { Rules } from './rules.ts';
import { sourceMoverMoves } from './source-mover.ts';
import { ACT, EARLIER, World, scratchWords } from './state.ts';
import { StateStore } from './store.ts';

export interface Bounds {
  readonly mode: 'precopy' | 'hybrid';
  /** A rehearsal of it: of the mode hybrid. */
  readonly rehearses?: boolean;
  /** Deaths, power losses and breaks of the stream in one run, in any combination. */
  readonly faults: number;
  /** Calls of an earlier migration of the same guest may still arrive. */
  readonly earlier: boolean;
  /** States after which to stop; the exploration is then not exhaustive, and says so. */
  readonly mostStates: number;
  /** Also show that every fair run ends. */
  readonly ends: boolean;
}

export interface ExplorationResult {
  readonly states: number;
  readonly moves: number;
  /** Moves to the farthest state. */
  readonly depth: number;
  readonly exhaustive: boolean;
  readonly ms: number;
  /** Distinct states of each side's own state machine that were reached. */
  readonly sourceStates: number;
  readonly destinationStates: number;
  /** How often each end was reached. */
  readonly ends: Readonly<Record<string, number>>;
  readonly violation: Violation | undefined;
}

export interface Violation {
  readonly rule: Rule | (typeof ENDLESS)[number];
  /** The shortest way there, in words. */
  readonly trace: readonly string[];
}

const ENDLESS = [
  'a fair run does not end',
  'the migration ends only once a deadline has passed, though everybody answers',
] as const;

/** Explores breadth first, so that the first violation found has a shortest trace. */
export function explore(rules: Rules, bounds: Bounds): ExplorationResult {
  return new Exploration(rules, bounds).run();
}

class Exploration {
  readonly #bounds: Bounds;
  readonly #store = new StateStore();
  readonly #words = scratchWords();
  readonly #context: Context;
  readonly #edges = new Edges();
  #at = 0;
  #moves = 0;
  #depth = 0;
  #violation: Violation | undefined;
  #ends: Record<string, number> = {};

  constructor(rules: Rules, bounds: Bounds) {
    this.#bounds = bounds;
    this.#context = {
      rules,
      mode: bounds.mode,
      rehearses: bounds.rehearses === true,
      table: rules.table[bounds.mode],
      there: rules.there,
      choices: new Choices(),
      source: new SourceBook(rules, bounds.rehearses === true ? 'rehearsal' : bounds.mode),
      destination: new DestinationBook(rules),
      world: new World(),
      next: new World(),
      emit: (kind, label) => this.#reached(kind, label),
    };
  }

  run(): ExplorationResult {
    const began = performance.now();
    const { world, source } = this.#context;
    const store = this.#store;
    world.js = source.first;
    world.act = ACT.begin;
    world.at = this.#context.table.do.admit;
    world.faults = this.#bounds.faults;
    world.earlier = this.#bounds.earlier ? (1 << EARLIER.length) - 1 : 0;
    world.pack(this.#words);
    store.add(this.#words, -1);
    let levelEnd = 1;
    while (this.#at < store.count && this.#violation === undefined) {
      if (this.#at === levelEnd) {
        this.#depth += 1;
        levelEnd = store.count;
      }
      if (store.count >= this.#bounds.mostStates) break;
      this.#leave(this.#at);
      this.#at += 1;
    }
    const exhaustive = this.#at === store.count;
    const { destination } = this.#context;
    // More would not fit the words that a state is packed into.
    if (source.size.journals >= 1 << 20 || destination.size.journals >= 1 << 16) {
      throw new Error('too many journals for the words of a state');
    }
    if (this.#violation === undefined && exhaustive && this.#bounds.ends) this.#checkEnds();
    return {
      states: store.count,
      moves: this.#moves,
      depth: this.#depth,
      exhaustive,
      ms: performance.now() - began,
      sourceStates: source.size.states,
      destinationStates: destination.size.states,
      ends: this.#ends,
      violation: this.#violation,
    };
  }

  #leave(index: number): void {
    this.#load(index);
    const { doing } = this.#context.source.state(this.#context.world.js);
    if (doing.kind === 'end') {
      this.#ends[doing.outcome] = (this.#ends[doing.outcome] ?? 0) + 1;
    }
    if (this.#bounds.ends) this.#edges.begin();
    expand(this.#context);
  }

  #load(index: number): void {
    this.#store.read(index, this.#words);
    this.#context.world.unpack(this.#words);
  }

  #reached(kind: Kind, label: string): void {
    if (this.#violation !== undefined) return;
    this.#moves += 1;
    const { next } = this.#context;
    const rule = brokenRule(this.#context, next);
    if (rule !== undefined) {
      this.#violation = { rule, trace: [] };
      this.#violation = { rule, trace: [...this.#traceTo(this.#at), label] };
      return;
    }
    next.pack(this.#words);
    const index = this.#store.add(this.#words, this.#at);
    if (!this.#bounds.ends || index === this.#at) return;
    if (kind === 'step' || kind === 'time') this.#edges.add(index, kind === 'time');
  }

  /** The labels of the moves from the beginning to the state: each move is made again to learn its name. */
  #traceTo(index: number): string[] {
    const way: number[] = [];
    for (let at = index; at >= 0; at = this.#store.parent(at)) way.unshift(at);
    const target = scratchWords();
    const words = scratchWords();
    const labels: string[] = [];
    for (let step = 1; step < way.length; step += 1) {
      this.#load(way[step - 1]!);
      this.#store.read(way[step]!, target);
      let found = '?';
      expand({
        ...this.#context,
        emit: (_kind, label) => {
          this.#context.next.pack(words);
          if (found === '?' && words.every((word, at) => word === target[at])) found = label;
        },
      });
      labels.push(found);
    }
    return labels;
  }

  /**
   * Every fair run ends: from each state, steps and deadlines alone lead to one in which all is over. And it ends by
   * itself: steps alone lead to the end of the source's side.
   */
  #checkEnds(): void {
    const { world, source } = this.#context;
    const { count } = this.#store;
    const over = new Uint8Array(count);
    const ended = new Uint8Array(count);
    for (let index = 0; index < count; index += 1) {
      this.#load(index);
      if (isOver(this.#context, world)) over[index] = 1;
      // Where a journal is damaged nobody goes on by himself, or the other waits for one who does not.
      const isDamaged = world.sdam === 1 || world.ddam === 1;
      if (isDamaged || source.state(world.js).doing.kind === 'end') ended[index] = 1;
    }
    const stuck = this.#edges.unreached(over, true);
    const waits = stuck >= 0 ? -1 : this.#edges.unreached(ended, false);
    if (stuck >= 0) this.#violation = { rule: ENDLESS[0], trace: this.#traceTo(stuck) };
    if (waits >= 0) this.#violation = { rule: ENDLESS[1], trace: this.#traceTo(waits) };
  }
}

function expand(context: Context): void {
  sourceMoverMoves(context);
  sourceHypervisorMoves(context);
  destinationHypervisorMoves(context);
  destinationMoverMoves(context);
  faultMoves(context);
  operatorMoves(context);
}

/** Which states follow on which, without faults; in the order in which the states were left. */
class Edges {
  #targets = new Int32Array(1 << 16);
  #starts = new Int32Array(1 << 16);
  #count = 0;
  #sources = 0;

  begin(): void {
    if (this.#sources === this.#starts.length) this.#starts = doubled(this.#starts);
    this.#starts[this.#sources] = this.#count;
    this.#sources += 1;
  }

  /** `late`: only once a deadline has passed. */
  add(target: number, late: boolean): void {
    if (this.#count === this.#targets.length) this.#targets = doubled(this.#targets);
    this.#targets[this.#count] = late ? ~target : target;
    this.#count += 1;
  }

  /** Spreads `reach` backwards; the first state that never gets it, or -1. */
  unreached(reach: Uint8Array, late: boolean): number {
    for (let changed = true; changed;) {
      changed = false;
      for (let source = this.#sources - 1; source >= 0; source -= 1) {
        if (reach[source] === 1 || !this.#leads(source, reach, late)) continue;
        reach[source] = 1;
        changed = true;
      }
    }
    return reach.indexOf(0);
  }

  #leads(source: number, reach: Uint8Array, late: boolean): boolean {
    const end = source + 1 < this.#sources ? this.#starts[source + 1]! : this.#count;
    for (let edge = this.#starts[source]!; edge < end; edge += 1) {
      const target = this.#targets[edge]!;
      if (target >= 0 ? reach[target] === 1 : late && reach[~target] === 1) return true;
    }
    return false;
  }
}

function doubled(array: Int32Array): Int32Array<ArrayBuffer> {
  const next = new Int32Array(array.length * 2);
  next.set(array);
  return next;
}
