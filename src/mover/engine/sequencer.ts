import type { Journal } from '../../host/journal/journal.ts';
import type { Durability } from '../../migration/durability.ts';
import type { EndPhase } from '../../protocol/public/migration.ts';
import { Mutex } from '../../mutex.ts';

export interface SequencerDependencies<State, Event extends { readonly type: string }, Effect> {
  readonly journal: Pick<Journal<Event>, 'append'>;
  readonly transition: (
    state: State,
    event: Event,
  ) => { readonly state: State; readonly effects: readonly Effect[] };
  readonly durability: (event: Event) => Durability;
  /** True for events after the migration's end, which are dropped. */
  readonly ignores: (state: State, event: Event) => boolean;
  readonly perform: (effect: Effect) => void;
  readonly applied: (event: Event) => void;
}

/**
 * State of one migration: takes events one by one, journals each, and hands over the transition's effects. Decides
 * nothing.
 */
export class Sequencer<State, Event extends { readonly type: string }, Effect> {
  readonly #deps: SequencerDependencies<State, Event, Effect>;
  readonly #mutex = new Mutex();
  readonly #finished = Promise.withResolvers<EndPhase>();
  #state: State;
  #unwritten = false;

  constructor(deps: SequencerDependencies<State, Event, Effect>, state: State) {
    this.#deps = deps;
    this.#state = state;
    // A journal failure rejects the wait for the end only.
    this.#finished.promise.catch(() => {});
  }

  get state(): State {
    return this.#state;
  }

  /** Resolves with the outcome; rejects if the journal cannot be written. */
  get finished(): Promise<EndPhase> {
    return this.#finished.promise;
  }

  end(outcome: EndPhase): void {
    this.#finished.resolve(outcome);
  }

  dispatch(event: Event): void {
    this.record(event).catch(() => {});
  }

  record(event: Event): Promise<void> {
    return this.#mutex.run(() => this.#apply(event));
  }

  /** Runs `work` in turn with all events; it may apply one itself. */
  inTurn<T>(work: (apply: (event: Event) => Promise<void>) => Promise<T>): Promise<T> {
    return this.#mutex.run(() => work((event) => this.#apply(event)));
  }

  async #apply(event: Event): Promise<void> {
    const { journal, transition, durability, ignores, perform, applied } = this.#deps;
    const before = this.#state;
    if (ignores(before, event)) return;
    // Nothing may follow from an unsynced record, because the next mover reads the disk.
    if (this.#unwritten) return;
    this.#unwritten = true;
    const { state, effects } = transition(before, event);
    const written = journal.append(event, durability(event));
    written.catch((cause: unknown) => this.#finished.reject(cause));
    await written;
    this.#unwritten = false;
    this.#state = state;
    for (const effect of effects) perform(effect);
    applied(event);
  }
}
