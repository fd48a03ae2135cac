import type { Clock } from '../../clock.ts';
import { withDeadline } from '../../deadline.ts';
import { godwitError, toGodwitError, type SerialError } from '../../errors.ts';
import type { Journal } from '../../host/journal/journal.ts';
import type { Log } from '../../log.ts';
import type { Durability } from '../../migration/durability.ts';
import type { EngineEffect } from '../../migration/engine/rows.ts';
import type { Check, EndPhase } from '../../protocol/public/migration.ts';
import { RefusedByChecks } from './refused-by-checks.ts';
import { Sequencer } from './sequencer.ts';
import { within } from './time-limit.ts';

/** How long a step that was asked to stop may take to do so before it is undone all the same, ms. */
const STOP_MS = 5000;

/**
 * How long a step may take, ms, and what follows once that is over: its handler fails, or an event has the lifecycle
 * decide. `either`: a handler that still works fails, and after it has returned, there is the event.
 */
export interface TimeLimit {
  readonly ms: number;
  readonly over: 'fails' | 'event' | 'either';
}

/** The step that is being done. */
interface Current<Step> {
  readonly step: Step;
  readonly abort: AbortController;
  /** Its handler works no more. */
  settled: Promise<void>;
  /** Its handler has returned, or has failed. */
  isAnswered: boolean;
}

interface StateChange<State, Effect> {
  readonly state: State;
  readonly effects: readonly Effect[];
}

/** What tells one lifecycle from another: its rules, its handlers, and the words of its journal. */
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
  readonly isEnded: (state: State) => boolean;
  /** Each may run twice. Facts end a step; without them, an event ends it. */
  readonly do: (step: Step, signal: AbortSignal) => Promise<Facts | undefined>;
  /** Each may run twice, and on a step half done. Resolves with what is written down of it. */
  readonly undo: (step: Undone, signal: AbortSignal) => Promise<Found>;
  readonly limit: (step: Step, state: State) => TimeLimit;
  readonly undoMs: (state: State) => number;
  /** Before a further attempt of the present step, ms. */
  readonly pauseMs?: (state: State) => number;
  /** The present step is a further attempt, for which what is left of its time must do. */
  readonly isFurtherAttempt?: (state: State) => boolean;
  /** A handler that looks until an event ends its step is told when that has come. */
  readonly stopsHandlers: boolean;
  readonly events: {
    readonly did: (step: Step, facts: Facts) => Event;
    readonly failed: (step: Step, error: SerialError, checks?: Check[]) => Event;
    readonly undid: (step: Undone, found: Found) => Event;
    readonly undoFailed: (step: Undone, error: SerialError) => Event;
    readonly timeout: (step: Step, afterMs: number) => Event;
  };
  /** What the journal can hold of an event; undefined where it is left out. */
  readonly fit?: (event: Event) => Event | undefined;
  /** Carries out an effect that only this lifecycle has. */
  readonly perform: (effect: Own) => void;
  /** An event was applied, and its effects have begun. */
  readonly applied: (event: Event) => void;
}

/**
 * Carries a lifecycle out: takes events one by one, journals each, then does what the transition asks for: begins steps,
 * bounds their time, stops them, undoes them, ends. Decides nothing itself.
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
  readonly #sequencer: Sequencer<State, Event, EngineEffect<Step, Undone> | Own>;
  readonly #over = new AbortController();
  #current: Current<Step> | undefined;
  #timer: AbortController | undefined;

  constructor(parts: EngineParts<State, Event, Step, Undone, Facts, Found, Own>, state: State) {
    const { journal, transition, durability, isEnded, applied } = parts;
    this.#parts = parts;
    this.#sequencer = new Sequencer(
      {
        journal,
        transition,
        durability,
        ignores: (before, { type }) => isEnded(before) && type !== 'taken-over',
        perform: (effect) => this.#perform(effect),
        applied,
      },
      state,
    );
  }

  get state(): State {
    return this.#sequencer.state;
  }

  /** Resolves with the outcome; rejects when the journal can no longer be written. */
  get finished(): Promise<EndPhase> {
    return this.#sequencer.finished;
  }

  /** Aborts when the present step is over: for what is done beside it. */
  get stepSignal(): AbortSignal {
    return this.#current?.abort.signal ?? this.over;
  }

  /** Aborts when the migration has ended. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Journals the first record and begins. */
  async begin(
    planned: Event,
    effects: readonly (EngineEffect<Step, Undone> | Own)[],
  ): Promise<void> {
    await this.#parts.journal.append(planned, 'sync');
    for (const effect of effects) this.#perform(effect);
  }

  /** Queues an event; returns at once. */
  dispatch(event: Event): void {
    const { fit } = this.#parts;
    const fitting = fit === undefined ? event : fit(event);
    if (fitting !== undefined) this.#sequencer.dispatch(fitting);
  }

  /** Takes an event in its turn and resolves once it is in the journal, as its durability says. */
  record(event: Event): Promise<void> {
    return this.#sequencer.record(event);
  }

  /** Runs `work` in turn with all events, so that what it sees is what will happen. */
  inTurn<T>(work: (apply: (event: Event) => Promise<void>) => Promise<T>): Promise<T> {
    return this.#sequencer.inTurn(work);
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
        this.#sequencer.end(effect.outcome);
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
    // A handler that fails by itself has a deadline of its own, and a further attempt what is left of the step's time.
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
    // The deadline does not wait for the work itself; undoing does.
    current.settled = answered.then(() => work).then(nothing, nothing);
  }

  async #run(step: Step, signal: AbortSignal): Promise<Facts | undefined> {
    const pauseMs = this.#parts.pauseMs?.(this.state) ?? 0;
    if (pauseMs > 0) await this.#parts.clock.sleep(pauseMs, signal);
    return this.#parts.do(step, signal);
  }

  /** The time of a step runs anew. */
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

  /** A step failed, or a command that belongs to it. */
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
    // A step that is half done must have stopped before it is undone.
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

  /** Carries out what is no step; what it comes to is an event. It is not broken off by the end that it leads to. */
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

  /** Releases whatever still waits, after the end or when the journal failed. */
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

/** Effects of a lifecycle have names of their own. */
function isOfEngine<Step extends string, Undone extends Step, Own>(
  effect: EngineEffect<Step, Undone> | Own,
): effect is EngineEffect<Step, Undone> {
  const { type } = effect as { readonly type: string };
  return type === 'do' || type === 'undo' || type === 'end';
}

function nothing(): void {
  // The event of a step has reported what its work came to.
}
