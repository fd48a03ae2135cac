import path from 'node:path';
import type { AgentConfig } from '../../config.ts';
import type { ManagedDriver, ManagedSession } from '../../port/managed.ts';
import { toGodwitError } from '../../errors.ts';
import { MANAGED_JOURNAL, open, type Journal } from '../../host/journal/journal.ts';
import { orderOf, type ManagedEvent, type StepName } from '../../migration/managed/events.ts';
import { replayManaged } from '../../migration/managed/journal.ts';
import {
  CANCEL_MS,
  canCancel,
  initialManaged,
  managedPhase,
  managedTransition,
  pauseMs,
  STEPS,
  type ManagedEffect,
  type UndoneStep,
} from '../../migration/managed/lifecycle.ts';
import type { ManagedState } from '../../migration/managed/state.ts';
import { managedProgress } from '../../migration/managed/report.ts';
import { defined } from '../../protocol/defined.ts';
import type { CancelAnswer } from '../../protocol/public/contract.ts';
import type { EndPhase } from '../../protocol/public/migration.ts';
import { journalFile, type ManagedMoverRequest } from '../../protocol/mover/request.ts';
import { Sequencer } from '../engine/sequencer.ts';
import { Live } from '../engine/live.ts';
import { RefusedByChecks } from '../engine/refused-by-checks.ts';
import { leftOf } from '../engine/time-limit.ts';
import type { Surroundings } from '../engine/surroundings.ts';
import { LIFECYCLE, type ManagedContext } from './lifecycle.ts';
import { managedSettings } from './settings.ts';
import type { Looks } from './verification.ts';
import type { ManagedWire } from './wire.ts';
import { withDeadline } from '../../deadline.ts';

/** A step gets so much time at least, ms: enough to ask once how the task stands. */
const MIN_MS = 1000;

type Planned = Extract<ManagedEvent, { type: 'planned' }>;
type Around = Pick<Surroundings, 'clock' | 'log' | 'pid' | 'openFile'> &
  Pick<ManagedContext, 'config' | 'proveDevices' | 'notice'> & {
    readonly config: { readonly limits: Pick<AgentConfig['limits'], 'bandwidth'> };
    readonly verification?: Looks | undefined;
    readonly wire?: Pick<ManagedWire, 'check' | 'open' | 'close' | 'abort' | 'sweep'> | undefined;
  };

/** The mover of a managed migration, from its request and its journal. It may stand beside either host, or beside none. */
export class ManagedMover {
  readonly #around: Around;
  readonly #journal: Journal<ManagedEvent>;
  readonly #sequencer: Sequencer<ManagedState, ManagedEvent, ManagedEffect>;
  readonly #context: ManagedContext;
  readonly #planned: Planned;
  readonly #tookOver: boolean;
  readonly #close: () => Promise<void>;
  readonly #ended = new AbortController();
  readonly live: Live;
  #current: AbortController | undefined;
  #timer: AbortController | undefined;

  constructor(dir: string, request: ManagedMoverRequest, driver: ManagedDriver, around: Around) {
    const { clock, log, openFile } = around;
    const file = path.join(dir, journalFile('managed'));
    const { journal, events } = open(file, openFile(file), MANAGED_JOURNAL, clock);
    const keepsCap = driver.capabilities.keepsCap === true;
    const settings = managedSettings(request, around.config.limits, keepsCap);
    const planned = planOf(request, settings);
    const found = replayManaged(events);
    const sequencer = new Sequencer<ManagedState, ManagedEvent, ManagedEffect>(
      {
        journal,
        transition: managedTransition,
        durability: ({ type }) => (type === 'saw' || type === 'found' ? 'soon' : 'sync'),
        ignores: ({ doing }, { type }) => doing.kind === 'end' && type !== 'taken-over',
        perform: (effect) => this.#perform(effect),
        applied: ({ type }) => {
          log.debug({ event: type, phase: managedPhase(sequencer.state) }, 'applied');
          this.live.publish(managedProgress(sequencer.state, this.#elapsedMs()));
        },
      },
      found ?? initialManaged(planned).state,
    );
    const { ask, close } = managerConnection(driver, request);
    this.#around = around;
    this.#journal = journal;
    this.#sequencer = sequencer;
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
        const { plan, copies, vouched } = sequencer.state;
        return { ...orderOf(plan, copies), ...(vouched && { vouched }) };
      },
      state: () => sequencer.state,
      dispatch: (event) => sequencer.dispatch(event),
      record: (event) => sequencer.record(event),
      live: ({ percent, memory: sample = sequencer.state.sample }) => {
        const seen = { ...sequencer.state, percent, ...(sample && { sample }) };
        this.live.publish(managedProgress(seen, this.#elapsedMs()));
      },
      leftMs: () => this.#leftMs(),
      wire: around.wire,
      verification: around.verification,
      proveDevices: around.proveDevices,
      notice: around.notice,
      ask,
    };
    this.live = new Live(managedProgress(sequencer.state, this.#elapsedMs()));
  }

  get state(): ManagedState {
    return this.#sequencer.state;
  }

  /** Begins, or goes on where an earlier mover stood; resolves when the migration has ended. */
  async run(): Promise<EndPhase> {
    try {
      if (this.#tookOver) {
        await this.#around.wire?.sweep().catch((thrown: unknown) => {
          this.#around.log.warn({ error: toGodwitError(thrown) }, 'a socket of the wire is left');
        });
        this.#sequencer.dispatch({ type: 'taken-over', pid: this.#around.pid });
      } else {
        await this.#journal.append(this.#planned, 'sync');
        for (const effect of initialManaged(this.#planned).effects) this.#perform(effect);
      }
      return await this.#sequencer.finished;
    } finally {
      this.#stop('the mover ends');
      this.#around.wire?.abort('the mover ends');
      await this.#around.verification?.close();
      await this.#close();
      await this.#journal.close();
    }
  }

  /** Before the order it ends the migration; after it, it is a request to the manager. */
  cancel(): Promise<CancelAnswer> {
    return this.#sequencer.inTurn(async (apply) => {
      if (!canCancel(this.state)) return { accepted: false, what: whyNotCancelled(this.state) };
      await apply({ type: 'cancel' });
      const { order, plan } = this.state;
      const ended = `${plan.guest} runs on at ${plan.from}`;
      const what = order === 'none' ? ended : 'its manager is asked to end the task';
      return { accepted: true, what };
    });
  }

  #perform(effect: ManagedEffect): void {
    switch (effect.type) {
      case 'do':
        void this.#do(effect.step);
        return;
      case 'undo':
        this.#undo(effect.step);
        return;
      case 'time':
        this.#timeIn(effect.step, this.#allowedMs(effect.step));
        return;
      case 'end':
        this.#stop('the migration has ended');
        this.#sequencer.end(effect.outcome);
        return;
    }
  }

  async #do(step: StepName): Promise<void> {
    this.#current?.abort(new Error(`the next step is ${step}`));
    const abort = new AbortController();
    this.#current = abort;
    // A further attempt has what is left of the step's time.
    if (this.state.attempts === 0) this.#timeIn(step, this.#allowedMs(step));
    try {
      const pause = pauseMs(this.state);
      if (pause > 0) await this.#around.clock.sleep(pause, abort.signal);
      const facts = await LIFECYCLE[step].do(this.#context, abort.signal);
      if (facts !== undefined) this.#sequencer.dispatch({ type: 'did', step, facts });
    } catch (thrown) {
      if (abort.signal.aborted) return;
      const refusal = thrown instanceof RefusedByChecks ? thrown : undefined;
      const error = toGodwitError(refusal?.error ?? thrown);
      this.#around.log.warn({ step, code: error.code, error }, 'step failed');
      const checks = refusal === undefined ? {} : { checks: [...refusal.checks] };
      this.#sequencer.dispatch({ type: 'failed', step, error: error.toJSON(), ...checks });
    }
  }

  #undo(step: UndoneStep): void {
    switch (step) {
      case 'prepare':
        void this.#unprepare();
        return;
      case 'start':
        this.#askToEnd();
        return;
    }
  }

  /** A step of its own: the migration ends after it. */
  async #unprepare(): Promise<void> {
    this.#current?.abort(new Error('the migration is given up'));
    this.#timer?.abort();
    const abort = new AbortController();
    this.#current = abort;
    try {
      const found = await LIFECYCLE.prepare.undo(this.#context, abort.signal);
      this.#sequencer.dispatch({ type: 'undone', ...defined({ found }) });
    } catch (thrown) {
      if (abort.signal.aborted) return;
      const error = toGodwitError(thrown);
      this.#around.log.warn({ code: error.code, error }, 'what was made there may be left');
      this.#sequencer.dispatch({ type: 'undone', error: error.toJSON() });
    }
  }

  #askToEnd(): void {
    const { doing } = this.state;
    // While the order is on its way, its step has its own time.
    if (doing.kind === 'do' && doing.step === 'watch') this.#timeIn('watch', CANCEL_MS);
    const signals = [this.#ended, this.#current ?? this.#ended].map(({ signal }) => signal);
    LIFECYCLE.start.undo(this.#context, AbortSignal.any(signals)).catch((thrown: unknown) => {
      const error = toGodwitError(thrown);
      this.#around.log.debug({ error }, 'the manager is asked no more to end the task');
    });
  }

  /** ms that a step may take: its own deadline, anew with each mover, which asks anew; to watch, what is left of all. */
  #allowedMs(step: StepName): number {
    const { deadlineMs } = STEPS[step];
    if (deadlineMs === 'asked') return Infinity;
    if (deadlineMs !== 'timeout') return deadlineMs;
    return Math.max(MIN_MS, this.#leftMs());
  }

  /** By the timeout, and by the deadline where there is one: that is for the switch. */
  #leftMs(): number {
    const { plan, postcopy } = this.state;
    const { timeoutMs, deadlineAt } = plan.settings;
    const settings = { timeoutMs, ...(postcopy ? {} : { deadlineAt }) };
    const limited = { plan: { settings }, known: this.state };
    return leftOf(limited, this.#context.askedAtMs, this.#around.clock.wallMs());
  }

  #timeIn(step: StepName, afterMs: number): void {
    this.#timer?.abort();
    if (afterMs === Infinity) return;
    const timer = new AbortController();
    this.#timer = timer;
    this.#around.clock.sleep(afterMs, timer.signal).then(
      () => this.#sequencer.dispatch({ type: 'timeout', step, afterMs }),
      () => {},
    );
  }

  #stop(why: string): void {
    this.#ended.abort(new Error(why));
    this.#current?.abort(new Error(why));
    this.#timer?.abort();
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

function planOf(asked: ManagedMoverRequest, settings: Planned['settings']): Planned {
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

/** How long one answer may take, where the driver does not say, ms. */
const ANSWER_MS = 20_000;

/** One connection to the manager for all questions; after an error on it the next question opens a new one. */
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
