import { toGodwitError } from '../../errors.ts';
import type { TaskChange, TaskSight } from '../../migration/managed/task-sight.ts';
import { isBeyondThrottle } from '../../migration/steering/own-throttle.ts';
import { plannedDowntimeMs, steer } from '../../migration/steering/steering.ts';
import { strategyOf } from '../../migration/steering/strategies.ts';
import type { ManagedContext } from './lifecycle.ts';

type Running = Extract<TaskSight, { state: 'running' }>;

/** Asks the steering after each look at a task that was asked for with a strategy, journals what it decides, and has the manager do it. */
export class TaskSteering {
  readonly #context: ManagedContext;
  /** What was decided is set by this mover: whoever takes over sets it once more. */
  #set = '';

  constructor(context: ManagedContext) {
    this.#context = context;
  }

  async look(task: Running, signal: AbortSignal): Promise<void> {
    const { state, record } = this.#context;
    const { memory } = task;
    if (memory === undefined || task.postcopy === true || !this.#isDue()) return;
    const { settings } = state().plan;
    const { levers, leftMs } = this.#context;
    const strategy = strategyOf(settings);
    const sight = { sample: memory, settings, leftMs: leftMs() };
    // The steps of a manager that slows it down by itself have no bound: beyond the strategy's, the next measure is due.
    const isBeyond = isBeyondThrottle(strategy, memory.throttlePercent);
    const decision =
      state().via === undefined
        ? steer(strategy, { ...sight, trace: state().steering, levers, isBeyond })
        : undefined;
    if (decision !== undefined) await record({ type: 'decided', ...decision });
    await this.#apply(signal);
  }

  #isDue(): boolean {
    const { doing, plan, cancelling } = this.#context.state();
    const isWatched = doing.kind === 'do' && doing.step === 'watch' && !cancelling;
    return isWatched && plan.settings.steering !== undefined;
  }

  /** A switch to post-copy is asked for until the task is in it, or the manager refuses. */
  async #apply(signal: AbortSignal): Promise<void> {
    const { state, ask, order, log, dispatch } = this.#context;
    if (!this.#isDue()) return;
    const { steering, via } = state();
    const { downtimeMs } = steering ?? {};
    const change: TaskChange = {
      ...(downtimeMs === undefined
        ? {}
        : { maxDowntimeMs: Math.floor(plannedDowntimeMs(downtimeMs, order.wire === true)) }),
      ...(via === 'postcopy' ? { postcopy: true } : {}),
    };
    const wanted = JSON.stringify(change);
    if (wanted === '{}' || (wanted === this.#set && via === undefined)) return;
    try {
      await ask(async (session, inner) => session.steer?.(order, change, inner), signal);
      this.#set = wanted;
    } catch (thrown) {
      if (signal.aborted) return;
      const error = toGodwitError(thrown);
      log.warn({ error }, 'the manager did not do what was decided');
      dispatch({ type: 'unset', error: error.toJSON() });
    }
  }
}
