import { toGodwitError } from '../../errors.ts';
import type { TaskChange, TaskSight } from '../../migration/managed/task-sight.ts';
import { isBeyondThrottle } from '../../migration/steering/own-throttle.ts';
import { plannedDowntimeMs, WIRE_UNDER_WAY_MS } from '../../migration/steering/downtime.ts';
import { steer } from '../../migration/steering/steering.ts';
import { strategyOf } from '../../migration/steering/strategies.ts';
import type { ManagedContext } from './context.ts';

type Running = Extract<TaskSight, { state: 'running' }>;

/** Steers a task that has a strategy: decides after each look, journals the decision, and orders it. */
export class TaskSteering {
  readonly #context: ManagedContext;
  /** Downtime requested of the manager, ms. After a takeover, a longer one is requested again. */
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
    // A manager's throttling has no maximum; beyond the strategy's, the next measure is due.
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

  /** Requests post-copy until the task is in it or the manager refuses. */
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
    // A refused change is not decided again, and the older one is not restored.
    if (!isSwitch) this.#setMs = this.#decidedMs();
  }

  /** Data in flight on a manager's path is unknown. */
  get #underWayMs(): number {
    return this.#context.order.wire === true ? WIRE_UNDER_WAY_MS : 0;
  }

  /** Downtime for its manager to plan for, ms. */
  #decidedMs(): number {
    const { state, order } = this.#context;
    const { downtimeMs } = state().steering ?? {};
    if (downtimeMs === undefined) return order.maxDowntimeMs;
    return Math.floor(plannedDowntimeMs(downtimeMs, this.#underWayMs));
  }
}
