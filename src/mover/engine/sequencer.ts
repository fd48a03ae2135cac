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
  /** Whether an event that comes now is left out: the migration has ended. */
  readonly ignores: (state: State, event: Event) => boolean;
  readonly perform: (effect: Effect) => void;
  /** Hears each event once its effects have begun. */
  readonly applied: (event: Event) => void;
}

/**
 * The state of one migration, of whatever shape: takes events one by one, journals each, and then hands over what the
 * transition asks for. Decides nothing itself.
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
    // A journal that cannot be written rejects the wait for the end, and nothing else.
    this.#finished.promise.catch(() => {});
  }

  get state(): State {
    return this.#state;
  }

  /** Resolves with the outcome; rejects when the journal can no longer be written. */
  get finished(): Promise<EndPhase> {
    return this.#finished.promise;
  }

  end(outcome: EndPhase): void {
    this.#finished.resolve(outcome);
  }

  /** Queues an event; returns at once. */
  dispatch(event: Event): void {
    this.record(event).catch(() => {});
  }

  /** Takes an event in its turn and resolves once it is in the journal, as its durability says. */
  record(event: Event): Promise<void> {
    return this.#mutex.run(() => this.#apply(event));
  }

  /** Runs `work` in turn with all events, so that what it sees is what will happen; it may apply one itself. */
  inTurn<T>(work: (apply: (event: Event) => Promise<void>) => Promise<T>): Promise<T> {
    return this.#mutex.run(() => work((event) => this.#apply(event)));
  }

  async #apply(event: Event): Promise<void> {
    const { journal, transition, durability, ignores, perform, applied } = this.#deps;
    const before = this.#state;
    if (ignores(before, event)) return;
    // Nothing follows what may not lie on the disk, whatever else is heard: the next mover reads what does.
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
