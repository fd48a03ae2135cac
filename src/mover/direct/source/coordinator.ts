import type { Clock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { toGodwitError } from '../../../errors.ts';
import type { GuestHandle } from '../../../protocol/mover/handle.ts';
import type { Log } from '../../../log.ts';
import { isBlackout, progressOf } from '../../../migration/report/progress.ts';
import {
  initialSource,
  phaseOf,
  type Planned,
  type SourceEffect,
  type SourceEvent,
  type SourceState,
} from '../../../migration/direct/source-state.ts';
import { deadlineOf, restartMs, undoMs } from '../../../migration/direct/step-deadline.ts';
import { endsBy, isLimited } from '../../../migration/direct/cold.ts';
import type { StepName, UndoneStep } from '../../../migration/direct/steps.ts';
import { durability } from '../../../migration/direct/durability.ts';
import { canCancel, transition } from '../../../migration/direct/transition.ts';
import type { CancelAnswer } from '../../../protocol/public/contract.ts';
import type { EndPhase, Progress } from '../../../protocol/public/migration.ts';
import type { Journal } from '../../../host/journal/journal.ts';
import { Sequencer } from '../../engine/sequencer.ts';
import { Live } from '../../engine/live.ts';
import { fitEvent } from './journal-event.ts';
import { LIFECYCLE } from './lifecycle.ts';
import { lastLook, lineOf, whatTook, type Seen } from './stream-progress.ts';
import { RefusedByChecks } from '../../engine/refused-by-checks.ts';
import type { SourceContext } from './source-context.ts';
import { setSteering } from './memory-steering.ts';
import { stopHere } from './stop-here.ts';
import { continueSwitchover } from './step-actions.ts';
import { leftOf, nothing, within } from '../../engine/time-limit.ts';

/** How long a step that was asked to stop may take to do so before it is undone all the same, ms. */
const STOP_MS = 5000;

export interface CoordinatorDependencies {
  readonly journal: Journal<SourceEvent>;
  readonly clock: Clock;
  readonly log: Log;
  /** Wall clock at which the migration was asked for, ms. */
  readonly startedAtMs: number;
  /** Resumes a broken post-copy stream. */
  readonly recover: (signal: AbortSignal) => Promise<void>;
  /** Starts the guest anew, which was lost. */
  readonly restart: (signal: AbortSignal) => Promise<GuestHandle>;
  /** Ends the copy here, because another host has the guest. */
  readonly giveUp: (signal: AbortSignal) => Promise<void>;
}

/**
 * Owns the state of one migration at its source: takes events one by one, journals each, and carries out
 * what the transition asks for. Decides nothing itself.
 */
export class Coordinator {
  readonly #deps: CoordinatorDependencies;
  readonly #sequencer: Sequencer<SourceState, SourceEvent, SourceEffect>;
  readonly #over = new AbortController();
  #steps: SourceContext | undefined;
  #current:
    | { readonly step: StepName; readonly abort: AbortController; readonly settled: Promise<void> }
    | undefined;
  #timer: NodeJS.Timeout | undefined;
  #recovering = false;
  /** The stream as it was last looked at, which the journal does not have. */
  #seen: Seen | undefined;
  readonly live: Live;

  constructor(deps: CoordinatorDependencies, state: SourceState) {
    this.#deps = deps;
    this.#sequencer = new Sequencer(
      {
        journal: deps.journal,
        transition,
        durability,
        ignores: ({ doing }, { type }) => doing.kind === 'end' && type !== 'taken-over',
        perform: (effect) => this.#perform(effect),
        applied: ({ type }) => {
          deps.log.debug({ event: type, phase: phaseOf(this.state) }, 'applied');
          this.#publish();
        },
      },
      state,
    );
    this.live = new Live(progressOf(state, undefined, 0));
  }

  get state(): SourceState {
    return this.#sequencer.state;
  }

  /** Resolves with the outcome; rejects when the journal can no longer be written. */
  get finished(): Promise<EndPhase> {
    return this.#sequencer.finished;
  }

  /** Journals the plan and begins. */
  async begin(steps: SourceContext, planned: Planned): Promise<void> {
    this.#steps = steps;
    await this.#deps.journal.append(planned, 'sync');
    for (const effect of initialSource(planned).effects) this.#perform(effect);
  }

  /** Goes on where a dead mover stood; `rebooted`: the host has been restarted since the migration began. */
  takeOver(steps: SourceContext, pid: number, rebooted: boolean): void {
    this.#steps = steps;
    this.dispatch({ type: 'taken-over', pid, rebooted });
  }

  /** Queues an event; returns at once. */
  dispatch(event: SourceEvent): void {
    const fit = fitEvent(event, this.#deps.log);
    if (fit === undefined) return;
    this.#sequencer.dispatch(fit);
  }

  /** The newest look at the stream, for the live view only. */
  observe(seen: Seen, note?: string): void {
    this.#seen = seen;
    this.#publish(note);
  }

  /** Takes an event in its turn and resolves once it is in the journal, as `durability` says. */
  record(event: SourceEvent): Promise<void> {
    return this.#sequencer.record(event);
  }

  /** Rolls back where that is still possible. The answer is given in turn with all events, so it is what will happen. */
  cancel(): Promise<CancelAnswer> {
    return this.#sequencer.inTurn(async (apply) => {
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

  #publish(note?: string): void {
    const read = (): Progress => {
      const elapsedMs = Math.max(0, this.#deps.clock.wallMs() - this.#deps.startedAtMs);
      return lineOf(this.state, this.#seen, { nowMs: this.#deps.clock.wallMs(), elapsedMs, note });
    };
    if (isBlackout(this.state)) this.live.publishLater(read);
    else this.live.publish(read());
  }

  #perform(effect: SourceEffect): void {
    switch (effect.type) {
      case 'do':
        this.#do(effect.step);
        return;
      case 'abort':
        this.#current?.abort.abort(new Error(`step ${effect.step} is being undone`));
        return;
      case 'undo':
        void this.#undo(effect.step);
        return;
      case 'continue':
        return void this.#command('switchover', continueSwitchover);
      case 'steer':
        return void setSteering(this.#mustHaveSteps(), this.#deps.log, this.#over.signal);
      case 'stop':
        return void stopHere(this.#mustHaveSteps(), this.#deps.log, this.#over.signal);
      case 'recover':
        return void this.#recover();
      case 'restart':
        return void this.#restart();
      case 'give-up':
        return void this.#giveUp();
      case 'end':
        clearTimeout(this.#timer);
        this.#over.abort(new Error('the migration has ended'));
        this.#sequencer.end(effect.outcome);
        return;
    }
  }

  #do(step: StepName): void {
    const steps = this.#mustHaveSteps();
    const abort = new AbortController();
    const deadlineMs = this.#remaining(step);
    clearTimeout(this.#timer);
    if (endsBy(step, this.state) === 'event') {
      this.#timer = setTimeout(
        () => this.dispatch({ type: 'timeout', afterMs: deadlineMs, ...whatTook(this.#seen) }),
        deadlineMs,
      );
    }
    let work: Promise<unknown> | undefined;
    const answered = withDeadline(`step ${step}`, deadlineMs, abort.signal, (signal) => {
      const doing = LIFECYCLE[step].do(steps, signal);
      work = doing;
      return doing;
    }).then(
      (facts) => {
        if (endsBy(step, this.state) === 'handler') this.dispatch({ type: 'did', step, facts });
      },
      (thrown: unknown) => {
        if (!abort.signal.aborted) this.#failed(step, thrown);
      },
    );
    // The deadline does not wait for the work itself; undoing does.
    const settled = answered.then(() => work).then(nothing, nothing);
    this.#current = { step, abort, settled };
  }

  /** ms that a step may take: its own deadline, and up to the switch no more than what is left of all. */
  #remaining(step: StepName): number {
    const own = deadlineOf(step, this.state);
    if (!isLimited(step, this.state)) return own;
    return Math.min(own, Math.max(1000, this.leftMs));
  }

  /** Until the time that the migration was given is over, ms. */
  get leftMs(): number {
    return leftOf(this.state, this.#deps.startedAtMs, this.#deps.clock.wallMs());
  }

  #failed(step: StepName, thrown: unknown): void {
    const refusal = thrown instanceof RefusedByChecks ? thrown : undefined;
    const error = toGodwitError(refusal?.error ?? thrown);
    this.#deps.log.warn({ step, code: error.code, error }, 'step failed');
    const facts = { ...lastLook(this.#seen), ...(refusal && { checks: [...refusal.checks] }) };
    this.dispatch({ type: 'failed', step, error: error.toJSON(), ...facts });
  }

  async #undo(step: UndoneStep): Promise<void> {
    const steps = this.#mustHaveSteps();
    clearTimeout(this.#timer);
    // A step that is half done must have stopped before it is undone.
    if (this.#current !== undefined) await within(STOP_MS, this.#current.settled);
    try {
      await withDeadline(`undoing ${step}`, undoMs(this.state), undefined, (signal) =>
        LIFECYCLE[step].undo(steps, signal),
      );
      this.dispatch({ type: 'undid', step });
    } catch (thrown) {
      const error = toGodwitError(thrown);
      this.#deps.log.warn({ step, code: error.code, error }, 'undo failed');
      this.dispatch({ type: 'undo-failed', step, error: error.toJSON() });
    }
  }

  async #command(
    step: StepName,
    command: (steps: SourceContext, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    try {
      const steps = this.#mustHaveSteps();
      await withDeadline(`a command of ${step}`, 10_000, this.#over.signal, (signal) =>
        command(steps, signal),
      );
    } catch (thrown) {
      if (!this.#over.signal.aborted) this.#failed(step, thrown);
    }
  }

  async #recover(): Promise<void> {
    if (this.#recovering) return;
    this.#recovering = true;
    try {
      await this.#deps.recover(this.#over.signal);
    } catch (thrown) {
      if (!this.#over.signal.aborted) {
        this.dispatch({ type: 'recovery-failed', error: toGodwitError(thrown).toJSON() });
      }
    } finally {
      this.#recovering = false;
    }
  }

  async #restart(): Promise<void> {
    clearTimeout(this.#timer);
    const what = 'starting the guest anew';
    try {
      const deadlineMs = restartMs(this.state);
      const handle = await withDeadline(what, deadlineMs, undefined, this.#deps.restart);
      this.dispatch({ type: 'restarted', handle });
    } catch (thrown) {
      this.dispatch({ type: 'restart-failed', error: toGodwitError(thrown).toJSON() });
    }
  }

  async #giveUp(): Promise<void> {
    clearTimeout(this.#timer);
    const what = 'ending the copy here';
    try {
      await withDeadline(what, restartMs(this.state), undefined, this.#deps.giveUp);
      this.dispatch({ type: 'gave-up' });
    } catch (thrown) {
      this.dispatch({ type: 'give-up-failed', error: toGodwitError(thrown).toJSON() });
    }
  }

  /** Releases whatever still waits, after the end or when the journal failed. */
  close(): void {
    clearTimeout(this.#timer);
    const reason = new Error('the mover ends');
    this.#over.abort(reason);
    this.#current?.abort.abort(reason);
  }

  #mustHaveSteps(): SourceContext {
    if (this.#steps === undefined) throw new Error('begin or takeOver comes first');
    return this.#steps;
  }
}
