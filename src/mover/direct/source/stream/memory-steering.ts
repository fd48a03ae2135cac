import type { Clock } from '../../../../clock.ts';
import { withDeadline } from '../../../../deadline.ts';
import { toGodwitError } from '../../../../errors.ts';
import type { Log } from '../../../../log.ts';
import type { StreamChange } from '../../../../port/stream-change.ts';
import type { SourceEvent, SourceState } from '../../../../migration/direct/source/source-state.ts';
import { RecentRate } from '../../../../migration/steering/recent-rate.ts';
import { steer } from '../../../../migration/steering/steering.ts';
import { strategyOf } from '../../../../migration/steering/strategies.ts';
import { defined } from '../../../../protocol/defined.ts';
import type { MemorySample } from '../../../../protocol/public/migration.ts';
import type { SteeringMeasure } from '../../../../protocol/public/steering.ts';
import type { DestinationStatus } from '../../../../protocol/peer/migration.ts';
import type { SourceDisks } from '../disks/disks.ts';
import type { StepContext } from '../ports.ts';
import { resumePeer, settingsNow, type MoverParts } from '../source-base.ts';
import type { SourceDataPath } from './data-path.ts';
import type { PostcopyPace } from './postcopy-pace.ts';
import type { TimedCap } from './timed-cap.ts';
import type { UnderWay } from './under-way.ts';
import { WriteLooks } from './write-looks.ts';

const SET_MS = 10_000;

interface Recorder {
  readonly state: SourceState;
  record(event: SourceEvent): Promise<void>;
}

type ReadyDependencies = Pick<MoverParts, 'state' | 'peer'> & {
  readonly dataPath: Pick<SourceDataPath, 'isCut'>;
  readonly disks: Pick<SourceDisks, 'isOpen' | 'areWhole' | 'link'>;
};

export type SteeringDependencies = Pick<MoverParts, 'config' | 'guest'> &
  ReadyDependencies & {
    readonly disks: Pick<SourceDisks, 'holdsSwitch'>;
    readonly underWay: Pick<UnderWay, 'saw' | 'msOf'>;
    readonly pace: Pick<PostcopyPace, 'saw' | 'empty' | 'fill'>;
    readonly timedCap: Pick<TimedCap, 'saw'>;
  };

export class MemorySteering {
  readonly #recorder: Recorder;
  #levers: readonly SteeringMeasure[] | undefined;
  readonly #looks: WriteLooks;
  readonly #recent = new RecentRate();
  /** Post-copy is due, but the destination was not ready. */
  isWaiting = false;

  constructor(recorder: Recorder, clock: Pick<Clock, 'sleep'>) {
    this.#recorder = recorder;
    this.#looks = new WriteLooks(clock);
  }

  /** Resolves once a decision is journaled, so that no look repeats it. */
  async look(
    context: SteeringDependencies,
    sample: MemorySample,
    leftMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    // A stream that is held back says nothing about the guest or the link.
    if (context.disks.holdsSwitch) return;
    context.underWay.saw(sample, signal);
    this.#recent.saw(sample);
    await context.pace.saw(sample, signal);
    await context.timedCap.saw(signal);
    const strategy = strategyOf(context.state().plan.settings);
    if (strategy.measures.length === 0 && strategy.giveUpRounds === undefined) return;
    this.#levers ??= await (await context.guest.session(signal)).levers(signal);
    const { steering, plan } = this.#recorder.state;
    const now = settingsNow(context);
    const settings = { ...now, isOfHours: now.maxBandwidth !== plan.settings.maxBandwidth };
    this.#looks.saw(context, sample, leftMs);
    const { newest: writes } = this.#looks;
    const { bytesPerS: recentRate, packing } = this.#recent;
    const known = { levers: this.#levers, leftMs, writes, recentRate, packing };
    const underWayMs = context.underWay.msOf();
    const view = { sample, trace: steering, settings, underWayMs, ...known };
    const decision = this.#isDue ? steer(strategy, view) : undefined;
    if (decision === undefined) {
      this.isWaiting = false;
      return;
    }
    // Post-copy stops the guest at once, so the other side must be ready; else the next look decides again.
    const mayCome =
      decision.what !== 'postcopy' || (await this.#makeReady(context, sample, signal));
    this.isWaiting = !mayCome;
    if (mayCome && this.#isDue) await this.#recorder.record({ type: 'decided', ...decision });
  }

  get #isDue(): boolean {
    const { doing, stopped } = this.#recorder.state;
    return doing.kind === 'do' && doing.step === 'memory' && !stopped;
  }

  /** True once the other side is ready for post-copy, and the queue ahead of it is sent. */
  async #makeReady(
    context: SteeringDependencies,
    sample: MemorySample,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (!(await isReadyThere(context, signal))) return false;
    const isEmpty = await context.pace.empty(sample, signal);
    if (!this.#isDue) return true;
    if (isEmpty && (await isReadyThere(context, signal))) return true;
    // The next look after the hold resumes the stream.
    if (this.#isDue && !context.disks.holdsSwitch) await context.pace.fill(signal);
    return false;
  }

  /** Stops sampling the guest's pages: the guest stops, or the first round is over. */
  close(): void {
    this.#looks.close();
  }
}

/**
 * Applies a decision to the running stream; idempotent. A setting that QEMU refuses does not fail the migration: it
 * is journaled as not set, and may be decided again.
 */
export async function setSteering(
  { state, dispatch, hypervisor, dataPath }: StepContext<'hypervisor' | 'dataPath'>,
  log: Log,
  over: AbortSignal,
): Promise<void> {
  const { steering, doing, stopped } = state();
  if (doing.kind !== 'do' || doing.step !== 'memory' || stopped) return;
  const { downtimeMs, throttlePercent } = steering ?? {};
  const change: StreamChange = {
    ...(downtimeMs === undefined ? {} : { maxDowntimeMs: dataPath.downtimeMs() }),
    ...defined({ throttlePercent }),
  };
  try {
    await withDeadline('steering the stream', SET_MS, over, async (signal) =>
      (await hypervisor.session(signal)).adjust(change, signal),
    );
  } catch (thrown) {
    if (over.aborted) return;
    const error = toGodwitError(thrown);
    log.warn({ error }, 'steering was not set');
    dispatch({ type: 'unset', error: error.toJSON() });
  }
}

/**
 * Time for the destination's mover to answer, ms; memory fills the same link. The guest runs meanwhile, so a slow
 * answer costs nothing.
 */
const ANSWER_MS = 5000;

/**
 * True if the destination's mover answers and waits for the guest, and its path has a link. Asked before the guest is
 * stopped; otherwise it would be paused until a dead mover is replaced.
 */
export async function isReadyThere(
  context: ReadyDependencies,
  signal: AbortSignal,
): Promise<boolean> {
  if (!haveLinks(context)) return false;
  resumePeer(context);
  const options = { signal, deadlineMs: ANSWER_MS };
  const status = await context.peer
    .once((api) => api.status({}, options))
    .catch(() => {
      // Any error: the next look asks again, for a limited time.
      signal.throwIfAborted();
      return undefined;
    });
  return status !== undefined && waits(status) && haveLinks(context);
}

function haveLinks({ dataPath, disks, state }: ReadyDependencies): boolean {
  if (dataPath.isCut) return false;
  if ((state().known.copies ?? []).length === 0) return true;
  return disks.isOpen && disks.areWhole && disks.link?.cutForMs === undefined;
}

/** A rehearsal reaches its switchover unarmed. */
function waits({ state, hypervisor }: DestinationStatus): boolean {
  return (state === 'armed' || state === 'prepared') && hypervisor !== 'gone';
}
