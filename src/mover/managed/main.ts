import path from 'node:path';
import type { AgentConfig } from '../../config.ts';
import type { ManagedDriver, ManagedSession } from '../../port/managed.ts';
import { toGodwitError } from '../../errors.ts';
import { MANAGED_JOURNAL, open, type Journal } from '../../host/journal/journal.ts';
import {
  orderOf,
  type ManagedEvent,
  type ManagedFacts,
  type StepName,
} from '../../migration/managed/events.ts';
import { replayManaged } from '../../migration/managed/journal.ts';
import {
  CANCEL_MS,
  canCancel,
  initialManaged,
  managedPhase,
  managedTransition,
  pauseMs,
  STEPS,
  UNDO_MS,
  type OwnEffect,
  type UndoneStep,
} from '../../migration/managed/lifecycle.ts';
import type { ManagedState } from '../../migration/managed/state.ts';
import { managedProgress } from '../../migration/managed/report.ts';
import { defined } from '../../protocol/defined.ts';
import type { CancelAnswer, EndPhase } from '../../protocol/public/migration.ts';
import { journalFile, type ManagedMoverRequest } from '../../protocol/mover/request.ts';
import { Engine } from '../engine/engine.ts';
import { Live } from '../engine/live.ts';
import { leftOf } from '../engine/time-limit.ts';
import type { Surroundings } from '../shared/surroundings.ts';
import { LIFECYCLE } from './lifecycle.ts';
import type { ManagedContext } from './context.ts';
import { managedSettings } from './settings.ts';
import type { Looks } from './verification.ts';
import type { ManagedWire } from './wire.ts';
import { withDeadline } from '../../deadline.ts';

/** Minimum time of a step, ms; enough for one look at the task. */
const MIN_MS = 1000;
/** Time for the last question after the attempts to undo, ms. */
const LAST_QUESTION_MS = 60_000;

type PlannedEvent = Extract<ManagedEvent, { type: 'planned' }>;
type Around = Pick<Surroundings, 'clock' | 'log' | 'pid' | 'openFile'> &
  Pick<ManagedContext, 'config' | 'proveDevices' | 'notice'> & {
    readonly config: { readonly limits: Pick<AgentConfig['limits'], 'bandwidth'> };
    readonly verification?: Looks | undefined;
    readonly wire?: Pick<ManagedWire, 'check' | 'open' | 'close' | 'abort' | 'sweep'> | undefined;
  };

type ManagedEngine = Engine<
  ManagedState,
  ManagedEvent,
  StepName,
  UndoneStep,
  ManagedFacts,
  string | undefined,
  OwnEffect
>;

/** Mover of a managed migration, from its request and journal; on either host or on neither. */
export class ManagedMover {
  readonly #around: Around;
  readonly #journal: Journal<ManagedEvent>;
  readonly #engine: ManagedEngine;
  readonly #context: ManagedContext;
  readonly #planned: PlannedEvent;
  readonly #tookOver: boolean;
  readonly #close: () => Promise<void>;
  readonly live: Live;

  constructor(dir: string, request: ManagedMoverRequest, driver: ManagedDriver, around: Around) {
    const { clock, log, openFile } = around;
    const file = path.join(dir, journalFile('managed'));
    const { journal, events } = open(file, openFile(file), MANAGED_JOURNAL, clock);
    const keepsCap = driver.capabilities.keepsCap === true;
    const settings = managedSettings(request, around.config.limits, keepsCap);
    const planned = planOf(request, settings);
    const found = replayManaged(events);
    this.#around = around;
    const engine = this.#engineFor(journal, found ?? initialManaged(planned).state);
    const { ask, close } = managerConnection(driver, request);
    this.#journal = journal;
    this.#engine = engine;
    this.#planned = planned;
    this.#tookOver = found !== undefined;
    this.#close = close;
    this.#context = {
      config: around.config,
      clock,
      log,
      driver,
      askedAtMs: Date.parse(request.createdAt),
      get order() {
        const { plan, copies, vouched } = engine.state;
        return { ...orderOf(plan, copies), ...(vouched && { vouched }) };
      },
      state: () => engine.state,
      dispatch: (event) => engine.dispatch(event),
      record: (event) => engine.record(event),
      live: ({ percent, memory: sample = engine.state.sample }) => {
        const seen = { ...engine.state, percent, ...(sample && { sample }) };
        this.live.publish(managedProgress(seen, this.#elapsedMs()));
      },
      leftMs: () => this.#leftMs(),
      wire: around.wire,
      verification: around.verification,
      proveDevices: around.proveDevices,
      notice: around.notice,
      ask,
    };
    this.live = new Live(managedProgress(engine.state, this.#elapsedMs()));
  }

  #engineFor(journal: Journal<ManagedEvent>, first: ManagedState): ManagedEngine {
    const { clock, log } = this.#around;
    const engine: ManagedEngine = new Engine(
      {
        journal,
        clock,
        log,
        transition: managedTransition,
        durability: ({ type }) => (type === 'saw' || type === 'found' ? 'soon' : 'sync'),
        isEnded: ({ doing }) => doing.kind === 'end',
        do: (step, signal) => LIFECYCLE[step].do(this.#context, signal),
        undo: (step, signal) => LIFECYCLE[step].undo(this.#context, signal),
        limit: (step) => ({ ms: this.#allowedMs(step), over: 'event' }),
        undoMs: () => UNDO_MS + LAST_QUESTION_MS,
        pauseMs,
        isFurtherAttempt: ({ attempts }) => attempts > 0,
        stopsHandlers: true,
        events: {
          did: (step, facts) => ({ type: 'did', step, facts }),
          failed: (step, error, checks) => ({
            type: 'failed',
            step,
            error,
            ...defined({ checks }),
          }),
          undid: (_, found) => ({ type: 'undone', ...defined({ found }) }),
          undoFailed: (_, error) => ({ type: 'undone', error }),
          timeout: (step, afterMs) => ({ type: 'timeout', step, afterMs }),
        },
        perform: (effect) => this.#perform(effect),
        applied: ({ type }) => {
          log.debug({ event: type, phase: managedPhase(engine.state) }, 'applied');
          this.live.publish(managedProgress(engine.state, this.#elapsedMs()));
        },
      },
      first,
    );
    return engine;
  }

  get state(): ManagedState {
    return this.#engine.state;
  }

  /** Begins, or continues an earlier mover's work; resolves at the end of the migration. */
  async run(): Promise<EndPhase> {
    try {
      if (this.#tookOver) {
        await this.#around.wire?.sweep().catch((thrown: unknown) => {
          this.#around.log.warn({ error: toGodwitError(thrown) }, 'socket of the wire left over');
        });
        this.#engine.dispatch({ type: 'taken-over', pid: this.#around.pid });
      } else {
        await this.#engine.begin(this.#planned, initialManaged(this.#planned).effects);
      }
      return await this.#engine.finished;
    } finally {
      this.#engine.close();
      this.#around.wire?.abort('the mover ends');
      await this.#around.verification?.close();
      await this.#close();
      await this.#journal.close();
    }
  }

  /** Ends the migration before the order; afterwards it is a request to the manager. */
  cancel(): Promise<CancelAnswer> {
    return this.#engine.inTurn(async (apply) => {
      if (!canCancel(this.state)) return { accepted: false, what: whyNotCancelled(this.state) };
      await apply({ type: 'cancel' });
      const { order, plan } = this.state;
      const ended = `${plan.guest} runs on at ${plan.from}`;
      const what = order === 'none' ? ended : 'its manager is asked to end the task';
      return { accepted: true, what };
    });
  }

  #perform(effect: OwnEffect): void {
    switch (effect.type) {
      case 'time':
        this.#engine.time(effect.step, this.#allowedMs(effect.step));
        return;
      case 'ask-to-end':
        this.#askToEnd();
        return;
    }
  }

  #askToEnd(): void {
    const { doing } = this.state;
    // While the order is in transit, its step has its own deadline.
    if (doing.kind === 'do' && doing.step === 'watch') this.#engine.time('watch', CANCEL_MS);
    LIFECYCLE.start.undo(this.#context, this.#engine.stepSignal).catch((thrown: unknown) => {
      const error = toGodwitError(thrown);
      this.#around.log.debug({ error }, 'no further request to the manager to end the task');
    });
  }

  /** Deadline of a step, ms; restarts with each mover, except that `watch` has the migration's remaining time. */
  #allowedMs(step: StepName): number {
    const { deadlineMs } = STEPS[step];
    if (deadlineMs === 'asked') return Infinity;
    if (deadlineMs !== 'timeout') return deadlineMs;
    return Math.max(MIN_MS, this.#leftMs());
  }

  /** Remaining time until the timeout and, before the switchover, the deadline. */
  #leftMs(): number {
    const { plan, postcopy } = this.state;
    const { timeoutMs, deadlineAt } = plan.settings;
    const settings = { timeoutMs, ...(postcopy ? {} : { deadlineAt }) };
    const limited = { plan: { settings }, known: this.state };
    return leftOf(limited, this.#context.askedAtMs, this.#around.clock.wallMs());
  }

  #elapsedMs(): number {
    return Math.max(0, this.#around.clock.wallMs() - (this.#planned.askedAtMs ?? 0));
  }
}

function whyNotCancelled(state: ManagedState): string {
  const { cancelling, doing } = state;
  if (doing.kind === 'end') return `nothing to cancel: it is ${doing.outcome}`;
  if (doing.kind === 'undo') return 'nothing to cancel: it is being undone';
  if (cancelling && doing.step !== 'finish') {
    return 'nothing to cancel: its manager has been asked to end the task already';
  }
  if (state.postcopy && doing.step === 'watch') {
    return 'too late: the guest runs at its destination, and its memory follows';
  }
  return `too late (${managedPhase(state)})`;
}

function planOf(asked: ManagedMoverRequest, settings: PlannedEvent['settings']): PlannedEvent {
  const { id, request, fromHost, toHost, createdAt, prediction } = asked;
  return {
    type: 'planned',
    id,
    guest: request.guest,
    from: fromHost,
    to: toHost,
    settings,
    askedAtMs: Date.parse(createdAt),
    ...defined({ prediction }),
  };
}

const ANSWER_MS = 20_000;

/** One connection to the manager for all questions; opens a new one after an error. */
function managerConnection(
  driver: ManagedDriver,
  { handle }: ManagedMoverRequest,
): Pick<ManagedContext, 'ask'> & { readonly close: () => Promise<void> } {
  let opened: Promise<ManagedSession> | undefined;
  const drop = async (session: Promise<ManagedSession> | undefined): Promise<void> => {
    if (opened === session) opened = undefined;
    await session?.then((each) => each.close()).catch(() => {});
  };
  const { questionMs = ANSWER_MS } = driver;
  return {
    close: () => drop(opened),
    ask: (question, signal) =>
      withDeadline('an answer of the manager', questionMs, signal, async (inner) => {
        opened ??= driver.openManaged(handle, inner);
        const session = opened;
        try {
          return await question(await session, inner);
        } catch (thrown) {
          await drop(session);
          throw thrown;
        }
      }),
  };
}
