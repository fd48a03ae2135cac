import type { Clock } from '../../clock.ts';
import { withDeadline } from '../../deadline.ts';
import { godwitError, toGodwitError, type SerialError } from '../../errors.ts';
import type { Journal } from '../../host/journal/journal.ts';
import type { Log } from '../../log.ts';
import { Mutex } from '../../mutex.ts';
import type { Durability } from '../../migration/durability.ts';
import type { EngineEffect } from '../../migration/engine/rows.ts';
import type { Check, EndPhase } from '../../protocol/public/migration.ts';
import { RefusedByChecks } from './refused-by-checks.ts';
import { within } from './time-limit.ts';

/** Time for a step to stop before it is undone anyway, ms. */
const STOP_MS = 5000;

/**
 * Deadline of a step, ms, and its effect: the handler fails, or an event lets the lifecycle decide. `either`: a
 * working handler fails; after its return, the event comes.
 */
export interface TimeLimit {
  readonly ms: number;
  readonly over: 'fails' | 'event' | 'either';
}

interface Current<Step> {
  readonly step: Step;
  readonly abort: AbortController;
  settled: Promise<void>;
  isAnswered: boolean;
}

interface StateChange<State, Effect> {
  readonly state: State;
  readonly effects: readonly Effect[];
}

export interface EngineParts<
  State,
  Event extends { readonly type: string },
  Step extends string,
  Undone extends Step,
  Facts,
  Found,
  Own,
> {
  readonly journal: Pick<Journal<Event>, 'append'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly transition: (
    state: State,
    event: Event,
  ) => StateChange<State, EngineEffect<Step, Undone> | Own>;
  readonly durability: (event: Event) => Durability;
  /** Events after the migration's end are dropped, except `taken-over`. */
  readonly isEnded: (state: State) => boolean;
  /** May run twice. Facts end a step; without them, an event does. */
  readonly do: (step: Step, signal: AbortSignal) => Promise<Facts | undefined>;
  /** May run twice, and on a half-done step. Resolves with facts for the journal. */
  readonly undo: (step: Undone, signal: AbortSignal) => Promise<Found>;
  readonly limit: (step: Step, state: State) => TimeLimit;
  readonly undoMs: (state: State) => number;
  readonly pauseMs?: (state: State) => number;
  /** The current step is another attempt within the same deadline. */
  readonly isFurtherAttempt?: (state: State) => boolean;
  /** A handler that watches until an event ends its step is stopped by that event. */
  readonly stopsHandlers: boolean;
  readonly events: {
    readonly did: (step: Step, facts: Facts) => Event;
    readonly failed: (step: Step, error: SerialError, checks?: Check[]) => Event;
    readonly undid: (step: Undone, found: Found) => Event;
    readonly undoFailed: (step: Undone, error: SerialError) => Event;
    readonly timeout: (step: Step, afterMs: number) => Event;
  };
  /** Fits an event to the journal's schema; undefined to drop it. */
  readonly fit?: (event: Event) => Event | undefined;
  readonly perform: (effect: Own) => void;
  readonly applied: (event: Event) => void;
}

/**
 * Runs a lifecycle: takes events one by one, journals each, and carries out the transition's effects. It begins
 * steps, limits their time, stops and undoes them. Decides nothing.
 */
export class Engine<
  State,
  Event extends { readonly type: string },
  Step extends string,
  Undone extends Step,
  Facts,
  Found,
  Own,
> {
  readonly #parts: EngineParts<State, Event, Step, Undone, Facts, Found, Own>;
  readonly #mutex = new Mutex();
  readonly #finished = Promise.withResolvers<EndPhase>();
  readonly #over = new AbortController();
  #state: State;
  #unwritten = false;
  #current: Current<Step> | undefined;
  #timer: AbortController | undefined;

  constructor(parts: EngineParts<State, Event, Step, Undone, Facts, Found, Own>, state: State) {
    this.#parts = parts;
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

  /** Aborts at the end of the current step, for work in parallel to it. */
  get stepSignal(): AbortSignal {
    return this.#current?.abort.signal ?? this.over;
  }

  get over(): AbortSignal {
    return this.#over.signal;
  }

  async begin(
    planned: Event,
    effects: readonly (EngineEffect<Step, Undone> | Own)[],
  ): Promise<void> {
    await this.#parts.journal.append(planned, 'sync');
    for (const effect of effects) this.#perform(effect);
  }

  dispatch(event: Event): void {
    const { fit } = this.#parts;
    const fitting = fit === undefined ? event : fit(event);
    if (fitting !== undefined) this.record(fitting).catch(() => {});
  }

  /** Resolves once the event is journaled, as its durability requires. */
  record(event: Event): Promise<void> {
    return this.#mutex.run(() => this.#apply(event));
  }

  /** Runs `work` in turn with all events, so that it sees a stable state; it may apply one itself. */
  inTurn<T>(work: (apply: (event: Event) => Promise<void>) => Promise<T>): Promise<T> {
    return this.#mutex.run(() => work((event) => this.#apply(event)));
  }

  async #apply(event: Event): Promise<void> {
    const { journal, transition, durability, isEnded, applied } = this.#parts;
    const before = this.#state;
    if (isEnded(before) && event.type !== 'taken-over') return;
    // Nothing may follow from an unsynced record, because the next mover reads the disk.
    if (this.#unwritten) return;
    this.#unwritten = true;
    const { state, effects } = transition(before, event);
    const written = journal.append(event, durability(event));
    written.catch((cause: unknown) => this.#finished.reject(cause));
    await written;
    this.#unwritten = false;
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
    applied(event);
  }

  #perform(effect: EngineEffect<Step, Undone> | Own): void {
    if (!isOfEngine<Step, Undone, Own>(effect)) return this.#parts.perform(effect);
    switch (effect.type) {
      case 'do':
        this.#do(effect.step);
        return;
      case 'undo':
        void this.#undo(effect.step);
        return;
      case 'end':
        this.#stop('the migration has ended');
        this.#finished.resolve(effect.outcome);
        return;
    }
  }

  #do(step: Step): void {
    const { events, limit, isFurtherAttempt, stopsHandlers } = this.#parts;
    if (stopsHandlers || this.#current?.step === step) this.#stopStep(`the next step is ${step}`);
    const abort = new AbortController();
    const current: Current<Step> = { step, abort, settled: Promise.resolve(), isAnswered: false };
    this.#current = current;
    const { ms, over } = limit(step, this.state);
    // A handler that fails by itself has a separate deadline; another attempt has the remaining time.
    if (over === 'fails') this.#timer?.abort();
    else if (isFurtherAttempt?.(this.state) !== true) this.time(step, ms, over);
    let work: Promise<unknown> | undefined;
    const run = (signal: AbortSignal): Promise<Facts | undefined> => {
      const running = this.#run(step, signal);
      work = running;
      return running;
    };
    const answer =
      over === 'fails' ? withDeadline(`step ${step}`, ms, abort.signal, run) : run(abort.signal);
    const answered = answer.then(
      (facts) => {
        current.isAnswered = true;
        if (facts !== undefined) this.dispatch(events.did(step, facts));
      },
      (thrown: unknown) => {
        current.isAnswered = true;
        if (!abort.signal.aborted) this.failed(step, thrown);
      },
    );
    // The deadline does not wait for the work itself; the undo does.
    current.settled = answered.then(() => work).then(nothing, nothing);
  }

  async #run(step: Step, signal: AbortSignal): Promise<Facts | undefined> {
    const pauseMs = this.#parts.pauseMs?.(this.state) ?? 0;
    if (pauseMs > 0) await this.#parts.clock.sleep(pauseMs, signal);
    return this.#parts.do(step, signal);
  }

  time(step: Step, afterMs: number, over: 'event' | 'either' = 'event'): void {
    this.#timer?.abort();
    if (afterMs === Infinity) return;
    const timer = new AbortController();
    this.#timer = timer;
    this.#parts.clock
      .sleep(afterMs, timer.signal)
      .then(() => this.#late(step, afterMs, over), nothing);
  }

  #late(step: Step, afterMs: number, over: 'event' | 'either'): void {
    if (over === 'event' || this.#current?.isAnswered !== false) {
      return this.dispatch(this.#parts.events.timeout(step, afterMs));
    }
    const late = godwitError('GODWIT_DEADLINE', { what: `step ${step}`, deadlineMs: afterMs });
    this.#stopStep(late.message);
    this.failed(step, late);
  }

  failed(step: Step, thrown: unknown): void {
    const refusal = thrown instanceof RefusedByChecks ? thrown : undefined;
    const error = toGodwitError(refusal?.error ?? thrown);
    this.#parts.log.warn({ step, code: error.code, error }, 'step failed');
    const checks = refusal === undefined ? undefined : [...refusal.checks];
    this.dispatch(this.#parts.events.failed(step, error.toJSON(), checks));
  }

  async #undo(step: Undone): Promise<void> {
    const { events, undo, undoMs, log } = this.#parts;
    this.#timer?.abort();
    // A half-done step must stop before it is undone.
    this.#stopStep('it is being undone');
    if (this.#current !== undefined) await within(STOP_MS, this.#current.settled);
    try {
      const found = await withDeadline(`undoing ${step}`, undoMs(this.state), undefined, (signal) =>
        undo(step, signal),
      );
      this.dispatch(events.undid(step, found));
    } catch (thrown) {
      const error = toGodwitError(thrown);
      log.warn({ step, code: error.code, error }, 'undo failed');
      this.dispatch(events.undoFailed(step, error.toJSON()));
    }
  }

  /**
   * Runs work outside of the steps and turns its result into an event. The end that this causes does not abort the
   * work.
   */
  async aside(
    what: string,
    deadlineMs: number,
    work: (signal: AbortSignal) => Promise<Event>,
    failed: (error: SerialError) => Event,
  ): Promise<void> {
    this.#timer?.abort();
    try {
      this.dispatch(await withDeadline(what, deadlineMs, undefined, work));
    } catch (thrown) {
      this.dispatch(failed(toGodwitError(thrown).toJSON()));
    }
  }

  /** Releases everything that still waits, after the end or a journal failure. */
  close(): void {
    this.#stop('the mover ends');
  }

  #stop(why: string): void {
    this.#timer?.abort();
    this.#over.abort(new Error(why));
    this.#stopStep(why);
  }

  #stopStep(why: string): void {
    this.#current?.abort.abort(new Error(why));
  }
}

/** Names of a lifecycle's effects differ from the engine's. */
function isOfEngine<Step extends string, Undone extends Step, Own>(
  effect: EngineEffect<Step, Undone> | Own,
): effect is EngineEffect<Step, Undone> {
  const { type } = effect as { readonly type: string };
  return type === 'do' || type === 'undo' || type === 'end';
}

function nothing(): void {
  // The step's event has reported the result.
}
