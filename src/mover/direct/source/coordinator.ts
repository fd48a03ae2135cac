import type { Clock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { godwitError, toGodwitError } from '../../../errors.ts';
import type { GuestHandle } from '../../../protocol/mover/handle.ts';
import type { Log } from '../../../log.ts';
import { isBlackout, progressOf } from '../../../migration/report/progress.ts';
import {
  initialSource,
  phaseOf,
  sourceEvent,
  type OwnEffect,
  type PlannedEvent,
  type SourceEvent,
  type SourceState,
  type StepFacts,
} from '../../../migration/direct/source/source-state.ts';
import {
  deadlineOf,
  endsBy,
  isLimited,
  stepIndex,
  type StepName,
  type UndoneStep,
} from '../../../migration/direct/source/steps.ts';
import { restartMs, undoMs } from '../../../migration/direct/source/ending-times.ts';
import { durability } from '../../../migration/direct/durability.ts';
import { canCancel, transition } from '../../../migration/direct/source/transition.ts';
import type {
  CancelAnswer,
  EndPhase,
  MemorySample,
  Progress,
} from '../../../protocol/public/migration.ts';
import { stillness, stillWords } from '../../../migration/steering/standstill.ts';
import { defined } from '../../../protocol/defined.ts';
import { whatIsWrong } from '../../../protocol/errors.ts';
import type { Journal } from '../../../host/journal/journal.ts';
import { Engine, type TimeLimit } from '../../engine/engine.ts';
import { Live } from '../../engine/live.ts';
import { LIFECYCLE } from './lifecycle.ts';
import type { StepContext } from './ports.ts';
import type { UndoFacts } from './source-base.ts';
import { setSteering } from './stream/memory-steering.ts';
import { stopHere } from './guest/end-here.ts';
import { continueSwitchover } from './step-actions.ts';
import { leftOf } from '../../engine/time-limit.ts';

/** Deadline of the order to send the last state, ms. */
const CONTINUE_MS = 10_000;

/** A look at the stream. `still`: length of a stall, and its limit; absent while it flows. */
export interface StreamObservation {
  readonly sample: MemorySample;
  readonly still?: { readonly forMs: number; readonly timeoutMs: number | undefined } | undefined;
}

export interface CoordinatorDependencies {
  readonly journal: Journal<SourceEvent>;
  readonly clock: Clock;
  readonly log: Log;
  readonly startedAtMs: number;
  readonly recover: (signal: AbortSignal) => Promise<void>;
  readonly restart: (signal: AbortSignal) => Promise<GuestHandle>;
  readonly giveUp: (signal: AbortSignal) => Promise<void>;
}

/** Engine of one direct migration at its source, with all effects that are not steps. */
export class Coordinator {
  readonly #deps: CoordinatorDependencies;
  readonly #engine: Engine<
    SourceState,
    SourceEvent,
    StepName,
    UndoneStep,
    StepFacts,
    UndoFacts | void,
    OwnEffect
  >;
  #context: StepContext | undefined;
  #recovering = false;
  #seen: StreamObservation | undefined;
  readonly live: Live;

  constructor(deps: CoordinatorDependencies, state: SourceState) {
    const { journal, clock, log } = deps;
    this.#deps = deps;
    this.#engine = new Engine(
      {
        journal,
        clock,
        log,
        transition,
        durability,
        isEnded: ({ doing }) => doing.kind === 'end',
        do: async (step, signal) => {
          const facts = await this.#do(step, signal);
          return endsBy(step, this.state) === 'handler' ? facts : undefined;
        },
        undo: (step, signal): Promise<UndoFacts | void> =>
          LIFECYCLE[step].undo(this.#mustHaveContext(), signal),
        limit: (step) => this.#limit(step),
        undoMs,
        stopsHandlers: false,
        events: {
          did: (step, facts) => ({ type: 'did', step, facts }),
          failed: (step, error, checks) => ({
            type: 'failed',
            step,
            error,
            ...lastLook(this.#seen),
            ...defined({ checks }),
          }),
          undid: (step, facts) => ({ type: 'undid', step, ...facts }),
          undoFailed: (step, error) => ({ type: 'undo-failed', step, error }),
          timeout: (_, afterMs) => ({ type: 'timeout', afterMs, ...whatTook(this.#seen) }),
        },
        fit: (event) => fitEvent(event, log),
        perform: (effect) => this.#perform(effect),
        applied: ({ type }) => {
          log.debug({ event: type, phase: phaseOf(this.state) }, 'applied');
          this.#publish();
        },
      },
      state,
    );
    this.live = new Live(progressOf(state, undefined, 0));
  }

  get state(): SourceState {
    return this.#engine.state;
  }

  /** Resolves with the outcome; rejects if the journal cannot be written. */
  get finished(): Promise<EndPhase> {
    return this.#engine.finished;
  }

  begin(context: StepContext, planned: PlannedEvent): Promise<void> {
    this.#context = context;
    return this.#engine.begin(planned, initialSource(planned).effects);
  }

  /** Continues a dead mover's work; `rebooted`: the host rebooted since the migration began. */
  takeOver(context: StepContext, pid: number, rebooted: boolean): void {
    this.#context = context;
    this.dispatch({ type: 'taken-over', pid, rebooted });
  }

  dispatch(event: SourceEvent): void {
    this.#engine.dispatch(event);
  }

  record(event: SourceEvent): Promise<void> {
    return this.#engine.record(event);
  }

  /** Newest look at the stream, for the live view only. */
  observe(seen: StreamObservation, note?: string): void {
    this.#seen = seen;
    this.#publish(note);
  }

  /** Undoes the migration if possible, in turn with events, so the answer is reliable. */
  cancel(): Promise<CancelAnswer> {
    return this.#engine.inTurn(async (apply) => {
      const { guest, from, to } = this.state.plan;
      if (canCancel(this.state)) {
        await apply({ type: 'cancel', ...lastLook(this.#seen) });
        return { accepted: true, what: `rolling back: ${guest} runs on at ${from}` };
      }
      const phase = phaseOf(this.state);
      const what =
        this.state.doing.kind === 'do'
          ? `too late (${phase}): ${guest} goes on at ${to}`
          : `nothing to cancel: it is ${phase === 'undoing' ? 'being rolled back already' : phase}`;
      return { accepted: false, what };
    });
  }

  /**
   * Reports a change of the guest instead of the step's failure that it caused: a resized disk rather than two image
   * sizes.
   */
  async #do(step: StepName, signal: AbortSignal): Promise<StepFacts> {
    const context = this.#mustHaveContext();
    try {
      return await LIFECYCLE[step].do(context, signal);
    } catch (thrown) {
      if (signal.aborted || stepIndex(step) >= stepIndex('switchover')) throw thrown;
      throw (await context.hypervisor.changes.explain(signal)) ?? thrown;
    }
  }

  #publish(note?: string): void {
    const read = (): Progress => {
      const elapsedMs = Math.max(0, this.#deps.clock.wallMs() - this.#deps.startedAtMs);
      return lineOf(this.state, this.#seen, { nowMs: this.#deps.clock.wallMs(), elapsedMs, note });
    };
    if (isBlackout(this.state)) this.live.publishLater(read);
    else this.live.publish(read());
  }

  #perform(effect: OwnEffect): void {
    const context = this.#mustHaveContext();
    const { over } = this.#engine;
    switch (effect.type) {
      case 'continue':
        return void this.#continue(context);
      case 'steer':
        return void setSteering(context, this.#deps.log, over);
      case 'stop':
        return void stopHere(context.hypervisor, this.#deps.log, over);
      case 'recover':
        return void this.#recover(over);
      case 'restart':
        return void this.#engine.aside(
          'starting the guest anew',
          restartMs(this.state),
          async (signal) => ({ type: 'restarted', handle: await this.#deps.restart(signal) }),
          (error) => ({ type: 'restart-failed', error }),
        );
      case 'give-up':
        return void this.#engine.aside(
          'ending the copy here',
          restartMs(this.state),
          async (signal) => {
            await this.#deps.giveUp(signal);
            return { type: 'gave-up' };
          },
          (error) => ({ type: 'give-up-failed', error }),
        );
    }
  }

  /** Steps up to the switchover are limited by the migration's remaining time, ms. */
  #limit(step: StepName): TimeLimit {
    const own = deadlineOf(step, this.state);
    const ms = isLimited(step, this.state) ? Math.min(own, Math.max(1000, this.leftMs)) : own;
    if (endsBy(step, this.state) === 'handler') return { ms, over: 'fails' };
    // Disk copies are watched as long as memory moves.
    return { ms, over: step === 'memory' ? 'event' : 'either' };
  }

  get leftMs(): number {
    return leftOf(this.state, this.#deps.startedAtMs, this.#deps.clock.wallMs());
  }

  async #continue(context: StepContext): Promise<void> {
    const { over } = this.#engine;
    try {
      await withDeadline('a command of switchover', CONTINUE_MS, over, (signal) =>
        continueSwitchover(context, signal),
      );
    } catch (thrown) {
      if (!over.aborted) this.#engine.failed('switchover', thrown);
    }
  }

  async #recover(over: AbortSignal): Promise<void> {
    if (this.#recovering) return;
    this.#recovering = true;
    try {
      await this.#deps.recover(over);
    } catch (thrown) {
      if (!over.aborted) {
        this.dispatch({ type: 'recovery-failed', error: toGodwitError(thrown).toJSON() });
      }
    } finally {
      this.#recovering = false;
    }
  }

  close(): void {
    this.#engine.close();
  }

  #mustHaveContext(): StepContext {
    if (this.#context === undefined) throw new Error('begin or takeOver comes first');
    return this.#context;
  }
}

/** Fits an event to the journal's schema: an invalid answer fails its step, and an invalid sample is dropped. */
export function fitEvent(event: SourceEvent, log: Log): SourceEvent | undefined {
  const parsed = sourceEvent.safeParse(event);
  if (parsed.success) return parsed.data;
  const what = `${event.type}: ${whatIsWrong(parsed.error)}`;
  log.error({ event: event.type, what }, 'left out what the journal cannot hold');
  if (event.type !== 'did') return undefined;
  const error = godwitError('GODWIT_INTERNAL', { what }).toJSON();
  return { type: 'failed', step: event.step, error };
}

export function lineOf(
  state: SourceState,
  seen: StreamObservation | undefined,
  { nowMs, elapsedMs, note }: { nowMs: number; elapsedMs: number; note: string | undefined },
): Progress {
  const { settings, to } = state.plan;
  const phase = phaseOf(state);
  // The link's figures only apply to phases with memory on it.
  if (phase !== 'memory' && phase !== 'draining') {
    const cut = `the link to ${to} was stalled: ${to} is asked to undo its part`;
    const words = phase === 'undoing' && seen?.still !== undefined ? cut : undefined;
    return progressOf(state, seen?.sample, elapsedMs, note ?? words);
  }
  const overMs = (state.known.beganAtMs ?? nowMs - elapsedMs) + settings.timeoutMs;
  const still = seen?.still && stillness(seen.still, nowMs, overMs);
  const words = still === undefined ? undefined : stillWords(to, still);
  return progressOf(state, seen?.sample, elapsedMs, note ?? words, still);
}

export function lastLook(seen: StreamObservation | undefined): { sample?: MemorySample } {
  return seen === undefined ? {} : { sample: seen.sample };
}

/** Figures for a timeout's error, possibly newer than the journal's. */
export function whatTook(seen: StreamObservation | undefined): {
  sample?: MemorySample;
  stillMs?: number;
} {
  if (seen === undefined) return {};
  return { sample: seen.sample, stillMs: Math.round(seen.still?.forMs ?? 0) };
}
