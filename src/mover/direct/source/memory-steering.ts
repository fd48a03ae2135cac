import type { Clock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { toGodwitError } from '../../../errors.ts';
import type { Log } from '../../../log.ts';
import type { StreamChange } from '../../../drivers/port/direct.ts';
import type { SourceEvent, SourceState } from '../../../migration/direct/source-state.ts';
import { steer } from '../../../migration/steering/steering.ts';
import { strategyOf } from '../../../migration/steering/strategies.ts';
import type { MemorySample } from '../../../protocol/public/migration.ts';
import type { SteeringMeasure } from '../../../protocol/public/steering.ts';
import { isReadyThere } from './ready-there.ts';
import { streamDowntimeMs, streamUnderWayMs } from './source-context.ts';
import type { SourceContext } from './source-context.ts';
import { WriteLooks } from './write-looks.ts';

const SET_MS = 10_000;
/** What the hypervisor may plan for is set anew once it differs by so much: ms, and of what was set. */
const LEAST_CHANGE_MS = 5;
const LEAST_CHANGE = 0.05;

/** Who takes decisions into the journal, one by one. */
interface Recorder {
  readonly state: SourceState;
  record(event: SourceEvent): Promise<void>;
}

/** Asks the steering after each look at the stream, and journals what it decides. */
export class MemorySteering {
  readonly #recorder: Recorder;
  /** Of the stream that runs. */
  #levers: readonly SteeringMeasure[] | undefined;
  readonly #looks: WriteLooks;
  /** The downtime for which the hypervisor was last asked to plan, ms; undefined before the first look. */
  #downtimeMs: number | undefined;
  /** Post-copy is due, and the destination was not ready for it. */
  isWaiting = false;

  constructor(recorder: Recorder, clock: Pick<Clock, 'sleep'>) {
    this.#recorder = recorder;
    this.#looks = new WriteLooks(clock);
  }

  /** Resolves once a decision is in the journal, so that no look decides the same again. */
  async look(
    context: SourceContext,
    sample: MemorySample,
    leftMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { doing, plan, steering, stopped } = this.#recorder.state;
    const { settings } = plan;
    const isDue = doing.kind === 'do' && doing.step === 'memory' && !stopped;
    context.linkPeak.saw(sample);
    if (isDue) await this.#keepDowntime(context, signal);
    const strategy = strategyOf(settings);
    if (strategy.measures.length === 0 && strategy.giveUpRounds === undefined) return;
    this.#looks.saw(context, sample);
    const levers = await this.#leversOf(context, signal);
    const writes = this.#looks.newest(context);
    const known = { levers, leftMs, writes, underWayMs: streamUnderWayMs(context) };
    const view = { sample, trace: steering, settings, ...known };
    const decision = isDue ? steer(strategy, view) : undefined;
    if (decision === undefined) {
      this.isWaiting = false;
      return;
    }
    // Post-copy stops the guest at once. Until the other side is ready it runs on here, and the next look decides anew.
    this.isWaiting = decision.what === 'postcopy' && !(await isReadyThere(context, signal));
    if (!this.isWaiting) await this.#recorder.record({ type: 'decided', ...decision });
  }

  /** How much of the downtime is under way hangs on the link, whose rate shows once memory flows. */
  async #keepDowntime(context: SourceContext, over: AbortSignal): Promise<void> {
    const maxDowntimeMs = streamDowntimeMs(context);
    this.#downtimeMs ??= maxDowntimeMs;
    const off = Math.abs(maxDowntimeMs - this.#downtimeMs);
    if (off < Math.max(LEAST_CHANGE_MS, this.#downtimeMs * LEAST_CHANGE)) return;
    if (!(await this.#leversOf(context, over)).includes('downtime')) return;
    this.#downtimeMs = maxDowntimeMs;
    try {
      await withDeadline('setting the downtime', SET_MS, over, async (signal) =>
        (await context.guest.session(signal)).adjust({ maxDowntimeMs }, signal),
      );
    } catch {
      // The one that was set before stays.
      over.throwIfAborted();
    }
  }

  async #leversOf(
    { guest }: SourceContext,
    signal: AbortSignal,
  ): Promise<readonly SteeringMeasure[]> {
    this.#levers ??= await (await guest.session(signal)).levers(signal);
    return this.#levers;
  }

  /** Looks at the guest's pages no more: the guest stops, or the first round is over. */
  close(): void {
    this.#looks.close();
  }
}

/**
 * Sets what was decided on the stream that runs; twice is as good as once. A setting that QEMU refuses does not fail
 * the migration: it is journaled as not set, and may be decided again.
 */
export async function setSteering(
  context: SourceContext,
  log: Log,
  over: AbortSignal,
): Promise<void> {
  const { steering, doing, stopped } = context.state();
  if (doing.kind !== 'do' || doing.step !== 'memory' || stopped) return;
  const { downtimeMs, throttlePercent } = steering ?? {};
  const change: StreamChange = {
    ...(downtimeMs === undefined ? {} : { maxDowntimeMs: streamDowntimeMs(context) }),
    ...(throttlePercent === undefined ? {} : { throttlePercent }),
  };
  try {
    await withDeadline('steering the stream', SET_MS, over, async (signal) =>
      (await context.guest.session(signal)).adjust(change, signal),
    );
  } catch (thrown) {
    if (over.aborted) return;
    const error = toGodwitError(thrown);
    log.warn({ error }, 'steering was not set');
    context.dispatch({ type: 'unset', error: error.toJSON() });
  }
}
