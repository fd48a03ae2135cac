import { systemClock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { toGodwitError } from '../../../errors.ts';
import type { Log } from '../../../log.ts';
import type { StreamChange } from '../../../drivers/port/direct.ts';
import type { SourceEvent, SourceState } from '../../../migration/direct/source-state.ts';
import { steer } from '../../../migration/steering/steering.ts';
import { strategyOf } from '../../../migration/steering/strategies.ts';
import { LinkPeak, LOOK_MS } from '../../../migration/steering/write-rate.ts';
import type { Writes } from '../../../migration/steering/write-rate.ts';
import type { MemorySample } from '../../../protocol/public/migration.ts';
import type { SteeringMeasure } from '../../../protocol/public/steering.ts';
import { isReadyThere } from './ready-there.ts';
import { goesByWire, streamDowntimeMs } from './source-context.ts';
import type { SourceContext } from './source-context.ts';

const SET_MS = 10_000;
/** The look may take as long as it takes. */
const NEVER = new AbortController().signal;

/** Who takes decisions into the journal, one by one. */
interface Recorder {
  readonly state: SourceState;
  record(event: SourceEvent): Promise<void>;
}

/** Of a look: it says nothing of a longer downtime, ms. */
const LONGEST_WINDOW_MS = 3000;
/** Between two looks at the guest's pages, ms: each takes 3 s, and little of a processor. */
const PAUSE_MS = 3000;

/** Asks the steering after each look at the stream, and journals what it decides. */
export class MemorySteering {
  readonly #recorder: Recorder;
  /** Of the stream that runs. */
  #levers: readonly SteeringMeasure[] | undefined;
  /** The newest look at the guest's pages while the first round runs; nothing waits for it. */
  #writes: Omit<Writes, 'linkRate'> | undefined;
  readonly #peak = new LinkPeak();
  #isLooking = false;
  readonly #looks = new AbortController();
  /** Post-copy is due, and the destination was not ready for it. */
  isWaiting = false;

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  /** Resolves once a decision is in the journal, so that no look decides the same again. */
  async look(
    context: SourceContext,
    sample: MemorySample,
    leftMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const strategy = strategyOf(context.state().plan.settings);
    if (strategy.measures.length === 0 && strategy.giveUpRounds === undefined) return;
    this.#levers ??= await (await context.guest.session(signal)).levers(signal);
    const { doing, plan, steering, stopped } = this.#recorder.state;
    const { settings } = plan;
    if (sample.round > 1) this.close();
    else if (!this.#isLooking && isLookedAt(context, sample)) {
      this.#isLooking = true;
      void this.#lookAtWrites(context);
    }
    if (sample.round === 1) this.#peak.saw(sample);
    const { bytesPerS: linkRate } = this.#peak;
    const seen = this.#writes;
    const isKnown = seen !== undefined && linkRate !== undefined;
    const writes = isKnown ? { ...seen, linkRate } : undefined;
    const levers = this.#levers;
    const view = { sample, trace: steering, levers, settings, leftMs, writes };
    const isDue = doing.kind === 'do' && doing.step === 'memory' && !stopped;
    const decision = isDue ? steer(strategy, view) : undefined;
    if (decision === undefined) {
      this.isWaiting = false;
      return;
    }
    // Post-copy stops the guest at once. Until the other side is ready it runs on here, and the next look decides anew.
    this.isWaiting = decision.what === 'postcopy' && !(await isReadyThere(context, signal));
    if (!this.isWaiting) await this.#recorder.record({ type: 'decided', ...decision });
  }

  /** Looks at the guest's pages no more: the guest stops, or the first round is over. */
  close(): void {
    this.#looks.abort();
  }

  /** Again and again, so that the newest look is of the round's end. Never rejects: without a look the rounds alone count. */
  async #lookAtWrites({ guest }: SourceContext): Promise<void> {
    const { signal } = this.#looks;
    try {
      for (;;) {
        const session = await guest.session(signal);
        if (session.measure === undefined) return;
        // From outside alone: its hypervisor has enough to do.
        const { how, pages, memoryBytes, curve } = await session.measure(signal, NEVER);
        if (how !== 'pages') return;
        this.#writes = { pages, memoryBytes, curve };
        await systemClock.sleep(PAUSE_MS, signal);
      }
    } catch {
      // Its pages cannot be read any more: an older look does not count for the rest of the round.
      if (!signal.aborted) this.#writes = undefined;
    }
  }
}

/**
 * Whether a look at its pages says what the rounds do not, and is over before the first one is. Where a byte that is
 * written is not a byte that is sent it would be compared with the wrong rate.
 */
function isLookedAt(
  { state, guest }: SourceContext,
  { remainingBytes, rate }: MemorySample,
): boolean {
  const { plan, known } = state();
  const { measures, precopyRounds } = strategyOf(plan.settings);
  if (measures.length === 0 || precopyRounds === 0) return false;
  const { compress } = { ...plan.settings, ...known.path?.stream };
  if (goesByWire({ state }) || compress !== 'none') return false;
  if (plan.settings.maxDowntimeMs > LONGEST_WINDOW_MS) return false;
  if (guest.capabilities.rounds === 'content') return false;
  return rate > 0 && (remainingBytes * 1000) / rate >= LOOK_MS;
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
