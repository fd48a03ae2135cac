import { toGodwitError } from '../../errors.ts';
import type { TaskChange, TaskSight } from '../../migration/managed/task-sight.ts';
import { isBeyondThrottle } from '../../migration/steering/own-throttle.ts';
import { plannedDowntimeMs, WIRE_UNDER_WAY_MS } from '../../migration/steering/downtime.ts';
import { steer } from '../../migration/steering/steering.ts';
import { strategyOf } from '../../migration/steering/strategies.ts';
import type { ManagedContext } from './context.ts';

type Running = Extract<TaskSight, { state: 'running' }>;

/** Asks the steering after each look at a task that was asked for with a strategy, journals what it decides, and has the manager do it. */
export class TaskSteering {
  readonly #context: ManagedContext;
  /** The downtime that the manager was asked for, ms: at first by its order. Whoever takes over asks once more for a longer one. */
  #setMs: number;

  constructor(context: ManagedContext) {
    this.#context = context;
    this.#setMs = context.order.maxDowntimeMs;
  }

  async look(task: Running, signal: AbortSignal): Promise<void> {
    const { state, record } = this.#context;
    const { memory } = task;
    if (memory === undefined || task.postcopy === true || !this.#isDue()) return;
    const { settings } = state().plan;
    const { driver, leftMs } = this.#context;
    const { levers = [] } = driver.capabilities;
    const strategy = strategyOf(settings);
    const sight = {
      sample: memory,
      settings,
      leftMs: leftMs(),
      underWayMs: this.#underWayMs,
    };
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
    const { state, ask, order, log, record } = this.#context;
    if (!this.#isDue()) return;
    const isSwitch = state().via === 'postcopy';
    const maxDowntimeMs = this.#decidedMs();
    if (!isSwitch && maxDowntimeMs === this.#setMs) return;
    const change: TaskChange = isSwitch ? { postcopy: true } : { maxDowntimeMs };
    try {
      await ask(async (session, inner) => session.steer?.(order, change, inner), signal);
    } catch (thrown) {
      if (signal.aborted) return;
      const error = toGodwitError(thrown);
      log.warn({ error }, 'manager did not apply the decision');
      await record({ type: 'unset', error: error.toJSON() });
    }
    // What it refused is decided no more, and what was before is not asked for again.
    if (!isSwitch) this.#setMs = this.#decidedMs();
  }

  /** What its manager has under way by a path of its own, nobody here knows. */
  get #underWayMs(): number {
    return this.#context.order.wire === true ? WIRE_UNDER_WAY_MS : 0;
  }

  /** The downtime that its manager is to plan for, ms. */
  #decidedMs(): number {
    const { state, order } = this.#context;
    const { downtimeMs } = state().steering ?? {};
    if (downtimeMs === undefined) return order.maxDowntimeMs;
    return Math.floor(plannedDowntimeMs(downtimeMs, this.#underWayMs));
  }
}
