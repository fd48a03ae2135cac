import { destinationDurability } from '../../src/migration/direct/durability.ts';
import type { Durability } from '../../src/migration/durability.ts';
import {
  initialDestination,
  type DestinationState,
} from '../../src/migration/direct/destination/destination.ts';
import {
  initialSource,
  type SourceEffect,
  type SourceState,
} from '../../src/migration/direct/source/source-state.ts';
import { ADMISSION, PLANNED, RECORDS, SOURCE_EVENTS, type RecordName } from './events.ts';
import type { Rules } from './rules.ts';

/** Numbers for values that are equal when their keys are. */
export class Numbering<T> {
  readonly #numbers = new Map<string, number>();
  readonly values: T[] = [];

  of(key: string, make: () => T): number {
    const found = this.#numbers.get(key);
    if (found !== undefined) return found;
    const number = this.values.length;
    this.#numbers.set(key, number);
    this.values.push(make());
    return number;
  }
}

/**
 * A journal: what its synced part folds to, and what each record after that folds to. A mover's state is the fold of
 * its whole journal, so the journal's number is all that a state of the model has to hold of either.
 * Records that change nothing are left out; a power loss may take any number of unsynced records from the end.
 */
interface Pages {
  readonly durable: number;
  readonly tail: readonly number[];
  /** What its synced part was before; only where that may be cut off. */
  readonly before: number;
}

const NOTHING = -2;

/** More unsynced records than this, and the oldest has reached the disk: 100 ms at most pass before. */
const MAX_UNSYNCED = 6;

class Pagination {
  readonly pages = new Numbering<Pages>();
  readonly #cutsDamaged: boolean;

  constructor({ damaged }: Pick<Rules, 'damaged'>) {
    this.#cutsDamaged = damaged === 'cuts';
  }

  of(durable: number, tail: readonly number[], past = NOTHING): number {
    const before = this.#cutsDamaged ? past : NOTHING;
    const key = `${durable}:${tail.join()}:${before}`;
    return this.pages.of(key, () => ({ durable, tail, before }));
  }

  current(number: number): number {
    const { durable, tail } = this.pages.values[number]!;
    return tail.at(-1) ?? durable;
  }

  durable(number: number): number {
    return this.pages.values[number]!.durable;
  }

  append(number: number, next: number, durability: Durability): number {
    if (durability === 'sync') return this.of(next, [], this.current(number));
    const { durable, tail, before } = this.pages.values[number]!;
    if ((tail.at(-1) ?? durable) === next) return number;
    if (tail.length < MAX_UNSYNCED) return this.of(durable, [...tail, next], before);
    return this.of(tail[0]!, [...tail.slice(1), next], durable);
  }

  synced(number: number): number {
    const { durable, tail, before } = this.pages.values[number]!;
    return this.of(this.current(number), [], tail.length === 0 ? before : (tail.at(-2) ?? durable));
  }

  /** Each journal that a power loss may leave. */
  cuts(number: number): number[] {
    const { durable, tail } = this.pages.values[number]!;
    return [durable, ...tail].map((last) => this.of(last, []));
  }

  /** Without its last synced record and what came after it; undefined where that may never be cut off. */
  withoutLast(number: number): number | undefined {
    const { before } = this.pages.values[number]!;
    return before === NOTHING ? undefined : this.of(before, []);
  }
}

export interface SourceStep {
  readonly journal: number;
  readonly effects: readonly SourceEffect[];
  readonly sameDoing: boolean;
}

/** The source's states and journals. The real transition is called once for each state and event. */
export class SourceBook {
  readonly #rules: Rules;
  readonly #states = new Numbering<SourceState>();
  readonly #pages: Pagination;
  readonly #steps = new Map<number, SourceStep>();
  readonly first: number;

  constructor(rules: Rules, plan: keyof typeof PLANNED) {
    this.#rules = rules;
    this.#pages = new Pagination(rules);
    this.first = this.#pages.of(this.#number(initialSource(PLANNED[plan]).state), []);
  }

  /** What only the report reads, or only a message says, is left out, or states would differ by their past alone. */
  #number(state: SourceState): number {
    const { moverAddress, memoryAddress } = state.known;
    const { doing, right, via, stream, unsure, attempts, cancelled, because } = state;
    const { closedByProof, mayHaveRunThere = false, decision } = state;
    const key = JSON.stringify([
      [doing, right, via, stream, unsure, attempts, cancelled, because?.code],
      [closedByProof, mayHaveRunThere, decision.proof],
      [moverAddress, memoryAddress],
    ]);
    return this.#states.of(key, () => ({ ...state, stopped: false, leftovers: [] }));
  }

  state(journal: number): SourceState {
    return this.#states.values[this.#pages.current(journal)]!;
  }

  apply(journal: number, event: number): SourceStep {
    const key = journal * 512 + event;
    const known = this.#steps.get(key);
    if (known !== undefined) return known;
    const before = this.state(journal);
    const { state, effects } = this.#rules.transition(before, SOURCE_EVENTS[event]!);
    const durability = this.#rules.durability(SOURCE_EVENTS[event]!);
    const step = {
      journal: this.#pages.append(journal, this.#number(state), durability),
      effects,
      sameDoing: JSON.stringify(before.doing) === JSON.stringify(state.doing),
    };
    this.#steps.set(key, step);
    return step;
  }

  synced(journal: number): number {
    return this.#pages.synced(journal);
  }

  cuts(journal: number): number[] {
    return this.#pages.cuts(journal);
  }

  withoutLast(journal: number): number | undefined {
    return this.#pages.withoutLast(journal);
  }

  get size(): { states: number; journals: number } {
    return { states: this.#states.values.length, journals: this.#pages.pages.values.length };
  }
}

interface Page {
  readonly state: DestinationState;
  /** Of the last `armed` in the journal. */
  readonly armedBootId: string | undefined;
}

/** The destination's states and journals; 0 is a destination that has not admitted the guest. */
export class DestinationBook {
  readonly #rules: Rules;
  readonly #states = new Numbering<Page>();
  readonly #pages: Pagination;
  readonly #steps = new Map<string, number>();
  readonly admitted: number;

  constructor(rules: Rules) {
    this.#rules = rules;
    this.#pages = new Pagination(rules);
    this.#pages.of(-1, []);
    const event = { type: 'admitted', admission: ADMISSION, host: 'b' } as const;
    const page = { state: initialDestination(event), armedBootId: undefined };
    this.admitted = this.#pages.of(this.#number(page), []);
  }

  #number(page: Page): number {
    const { right, stage, hypervisor, unsure, hasRun } = page.state;
    const key = JSON.stringify([right, stage, hypervisor, unsure, hasRun, page.armedBootId]);
    return this.#states.of(key, () => ({ ...page, state: { ...page.state, error: undefined } }));
  }

  #page(journal: number): Page {
    return this.#states.values[this.#pages.current(journal)]!;
  }

  state(journal: number): DestinationState {
    return this.#page(journal).state;
  }

  armedBootId(journal: number): string | undefined {
    return this.#page(journal).armedBootId;
  }

  /** What is sure to outlive a power loss. */
  durable(journal: number): DestinationState {
    return this.#states.values[this.#pages.durable(journal)]!.state;
  }

  /** A record with what the rules ask for of it. */
  record(journal: number, name: RecordName): number {
    const next = this.write(journal, name);
    return destinationDurability(RECORDS[name]) === 'sync' ? this.synced(next) : next;
  }

  /** A record that may not lie on the disk yet. */
  write(journal: number, name: RecordName): number {
    const key = `${journal}:${name}`;
    const known = this.#steps.get(key);
    if (known !== undefined) return known;
    const event = RECORDS[name];
    const page = this.#page(journal);
    const state = this.#rules.destinationAfter(page.state, event);
    const armedBootId = event.type === 'armed' ? event.bootId : page.armedBootId;
    const next = this.#pages.append(journal, this.#number({ state, armedBootId }), 'later');
    this.#steps.set(key, next);
    return next;
  }

  takenOver(journal: number, boot: number): number {
    const { state, armedBootId } = this.#page(journal);
    const sure = this.#rules.knowsItNeverRan(state.right, armedBootId, `boot-${boot}`);
    return this.record(journal, sure ? 'neverRan' : 'mayHaveRun');
  }

  synced(journal: number): number {
    return journal === 0 ? 0 : this.#pages.synced(journal);
  }

  cuts(journal: number): number[] {
    return this.#pages.cuts(journal);
  }

  withoutLast(journal: number): number | undefined {
    return this.#pages.withoutLast(journal);
  }

  get size(): { states: number; journals: number } {
    return { states: this.#states.values.length, journals: this.#pages.pages.values.length };
  }
}
