import type { Clock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { toGodwitError, type GodwitError, type SerialError } from '../../../errors.ts';
import type { Log } from '../../../log.ts';
import type { HypervisorEvent } from '../../../migration/direct/hypervisor.ts';
import { stepIndex, deadlineOf } from '../../../migration/direct/source/steps.ts';
import { NOTICED_MS, SAID_MS } from '../../../migration/steering/standstill.ts';
import { formatDuration } from '../../../protocol/quantity.ts';
import type { Coordinator, StreamObservation } from './coordinator.ts';
import { graceMs, linkSilent, lossIn, silenceOf } from './stream/link-silent.ts';
import { MemorySteering, type SteeringDependencies } from './stream/memory-steering.ts';
import type { SourceBackingFiles } from './disks/backing-files.ts';
import type { SourceDisks } from './disks/disks.ts';
import type { GuestChanges } from './guest/guest-changes.ts';
import type { SourceProbes } from './network/probes.ts';
import { resumePeer, settingsNow, type MigrationRun } from './source-base.ts';
import type { SourceDataPath } from './stream/data-path.ts';
import { LinkState, StreamGuard } from './stream/stream-guard.ts';
import { streamAddress } from './stream/under-way.ts';

/** Interval between looks at the stream, ms; the hypervisor updates its figures about every 100 ms. */
const SAMPLE_MS = 200;
/** Interval between calls that only test the destination, ms. */
const HEARTBEAT_MS = 1000;
/**
 * Delay from the end of a round to the look at it, ms. The guest is stopped soon after the last round begins, and the
 * order to continue must not wait for a monitor question.
 */
const AFTER_PASS_MS = 30;
const ROUND_MS = 50;

export type WatchDependencies = SteeringDependencies &
  Pick<MigrationRun, 'request' | 'dispatch'> & {
    readonly dataPath: Pick<SourceDataPath, 'isOpen' | 'isCut' | 'hasLink' | 'mind'>;
    readonly disks: Pick<SourceDisks, 'mind'>;
    readonly backingFiles: Pick<SourceBackingFiles, 'isOpen' | 'mind'>;
    readonly changes: Pick<GuestChanges, 'watch' | 'explain'>;
    readonly probes: Pick<SourceProbes, 'saw' | 'stopped'>;
  };

/** Watches the stream and the destination of a migration, and turns observations into events. */
export class Watch {
  readonly #coordinator: Coordinator;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #over = new AbortController();
  #wake: (() => void) | undefined;
  #round = 0;
  #roundAt = 0;
  #still: NodeJS.Timeout | undefined;
  #guard: StreamGuard | undefined;
  #context: WatchDependencies | undefined;
  readonly #sight = new LinkState();
  readonly #steering: MemorySteering;
  #flows = false;

  constructor(coordinator: Coordinator, clock: Clock, log: Log) {
    this.#coordinator = coordinator;
    this.#clock = clock;
    this.#log = log;
    this.#steering = new MemorySteering(coordinator, clock);
  }

  start(context: WatchDependencies): void {
    // After a takeover, nothing else may call the destination for long.
    resumePeer(context);
    const { dispatch, peer } = context;
    this.#context = context;
    const stream = { peer, dispatch, streamAddress: () => streamAddress(context) };
    this.#guard = new StreamGuard({ clock: this.#clock, ...stream });
    void this.#sampling(context);
    void this.#guarding(context);
    void this.#heartbeat(context);
    const onChanged = (error: GodwitError): void => this.#fail(error);
    void context.changes.watch(onChanged, this.#over.signal);
  }

  stop(): void {
    this.#over.abort(new Error('the migration has ended'));
    clearTimeout(this.#still);
    this.#steering.close();
    this.#wake?.();
  }

  /** Forwards the hypervisor's events; looks at once after a start, and soon after a pass. */
  onHypervisor(event: HypervisorEvent): void {
    if (event.type === 'setup') {
      this.#wake?.();
      return;
    }
    this.#mindTheStop(event);
    if (event.type === 'postcopy-paused') this.#guard?.known();
    if (event.type === 'postcopy-active') this.#guard?.anew();
    if (event.type === 'pass') {
      setTimeout(() => this.#wake?.(), AFTER_PASS_MS).unref();
      return;
    }
    if (event.type === 'failed') return void this.#onFailed(event);
    this.#coordinator.dispatch({ type: 'hypervisor', event });
    if (event.type !== 'active') return;
    this.#flows = true;
    this.#wake?.();
  }

  /** Reports the guest's change instead of the broken stream that it caused. */
  async #onFailed(event: HypervisorEvent): Promise<void> {
    const context = this.#context;
    const { doing } = this.#coordinator.state;
    const moves = doing.kind === 'do' && (doing.step === 'memory' || doing.step === 'switchover');
    if (moves && context !== undefined) {
      const error = await context.changes.explain(this.#over.signal);
      if (error !== undefined) this.#fail(error);
    }
    this.#coordinator.dispatch({ type: 'hypervisor', event });
  }

  #fail(error: GodwitError): void {
    const { doing } = this.#coordinator.state;
    if (doing.kind !== 'do') return;
    this.#coordinator.dispatch({ type: 'failed', step: doing.step, error: error.toJSON() });
  }

  /**
   * If neither `pre-switchover` nor `device` marks the switchover, the guest's stop does; its limit is the step's. A
   * guest that was paused by another program is not sent on as running.
   */
  #mindTheStop(event: HypervisorEvent): void {
    if (event.type !== 'stopped' && event.type !== 'resumed') return;
    clearTimeout(this.#still);
    if (event.type === 'resumed') return;
    // Sampling adds nothing now, and must not delay the order to continue.
    this.#steering.close();
    this.#context?.probes.stopped();
    const afterMs = deadlineOf('switchover', this.#coordinator.state);
    this.#still = setTimeout(() => {
      const { doing, stopped } = this.#coordinator.state;
      if (doing.kind === 'do' && doing.step === 'memory' && stopped) {
        this.#coordinator.dispatch({ type: 'timeout', afterMs });
      }
    }, afterMs);
  }

  async #sampling(context: WatchDependencies): Promise<void> {
    while (!this.#over.signal.aborted) {
      if (this.#worthSampling()) await this.#sampleOnce(context);
      await this.#pause();
    }
  }

  /** Not before this stream exists, with older figures, nor in the blackout, when the guest would wait. */
  #worthSampling(): boolean {
    const { doing, stopped } = this.#coordinator.state;
    if (doing.kind !== 'do') return false;
    return doing.step === 'drain' || (doing.step === 'memory' && this.#flows && !stopped);
  }

  async #sampleOnce(context: WatchDependencies): Promise<void> {
    const signal = this.#over.signal;
    try {
      const sample = await withDeadline('a look at the stream', 5000, signal, async (bounded) =>
        (await context.guest.session(bounded)).sample(bounded),
      );
      const step = this.#isDraining() ? 'drain' : 'memory';
      this.#guard?.saw(sample.transferredBytes, step, sample.remainingBytes);
      this.#coordinator.observe({ sample, still: this.#standsStill(context) }, this.#note());
      context.probes.saw(sample);
      const now = this.#clock.monotonicMs();
      if (sample.round > this.#round && now - this.#roundAt >= ROUND_MS) {
        this.#round = sample.round;
        this.#roundAt = now;
        await this.#coordinator.record({ type: 'measured', sample, final: false });
      }
      await this.#steering.look(context, sample, this.#coordinator.leftMs, signal);
    } catch (thrown) {
      // The next look may succeed, and a lost hypervisor has its own event.
      if (!signal.aborted) this.#log.debug({ error: toGodwitError(thrown) }, 'no sample');
    }
  }

  #isDraining(): boolean {
    const { doing } = this.#coordinator.state;
    return doing.kind === 'do' && doing.step === 'drain';
  }

  #standsStill(context: WatchDependencies): StreamObservation['still'] {
    const forMs = this.#guard?.stillMs ?? 0;
    if (this.#isDraining()) return forMs < NOTICED_MS ? undefined : { forMs, timeoutMs: undefined };
    // A cap on the wire blocks the hypervisor for seconds.
    const isPaced = context.dataPath.hasLink && settingsNow(context).maxBandwidth !== undefined;
    return forMs < SAID_MS || isPaced ? undefined : { forMs, timeoutMs: silenceOf(context) };
  }

  #note(): string | undefined {
    if (this.#steering.isWaiting) return 'post-copy waits until the other host is ready for it';
    if (this.#context?.disks.holdsSwitch === true)
      return 'the switch waits until the disks have a path to the other host';
    const stillMs = this.#isDraining() ? (this.#guard?.stillMs ?? 0) : 0;
    if (stillMs < NOTICED_MS) return undefined;
    return `the stream has been stalled for ${formatDuration(stillMs)}: looking for a path`;
  }

  /** Watches the bytes; TCP would take many minutes. */
  async #guarding(context: WatchDependencies): Promise<void> {
    const signal = this.#over.signal;
    try {
      for (;;) {
        await this.#clock.sleep(SAMPLE_MS, signal);
        this.#sight.look(context.dataPath, this.#clock.monotonicMs());
        if (this.#isHidden(context)) continue;
        if (this.#isDraining()) await this.#guard?.look(signal);
        else if (this.#worthSampling()) await this.#guard?.lookBefore(signal);
      }
    } catch (thrown) {
      if (!signal.aborted)
        this.#log.error({ error: toGodwitError(thrown) }, 'watch of the memory stream failed');
    }
  }

  /** The wire repairs hidden cuts; a longer cut ends the wire or is a stall. */
  #isHidden({ dataPath, state }: WatchDependencies): boolean {
    const stillMs = this.#guard?.stillMs ?? 0;
    return (
      dataPath.isOpen && this.#sight.hides(stillMs, graceMs(state()), this.#clock.monotonicMs())
    );
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, SAMPLE_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #heartbeat(context: WatchDependencies): Promise<void> {
    const signal = this.#over.signal;
    let silentSince: number | undefined;
    for (;;) {
      try {
        await this.#clock.sleep(HEARTBEAT_MS, signal);
      } catch {
        return;
      }
      if (!this.#worthAsking(context)) continue;
      // Keeps a spare connection for commit, since this question may occupy one.
      context.peer.warm(signal).catch(() => {});
      const silenceMs = silenceOf(context);
      try {
        const status = await withDeadline('the destination', silenceMs, signal, (bounded) =>
          context.peer.call(context.request.id, bounded, (api) =>
            api.status({}, { signal: bounded, deadlineMs: 5000 }),
          ),
        );
        silentSince = undefined;
        context.dataPath.mind(context.peer.moverAddress);
        context.disks.mind(context.peer.moverAddress);
        context.backingFiles.mind(context.peer.moverAddress);
        const error = lossIn(status, context);
        if (error !== undefined) this.#coordinator.dispatch({ type: 'destination-lost', error });
      } catch (thrown) {
        if (signal.aborted) return;
        silentSince ??= this.#clock.monotonicMs() - silenceMs;
        // The wire received data of the destination, even if calls failed between cuts.
        const since = Math.max(silentSince, this.#sight.heardAtMs);
        const { moverAddress = 'its address' } = context.peer;
        this.#onSilence(toGodwitError(thrown).toJSON(), moverAddress, since, silenceMs);
      }
    }
  }

  #worthAsking(context: WatchDependencies): boolean {
    const { doing, known } = this.#coordinator.state;
    if (doing.kind !== 'do' || !context.peer.known) return false;
    // Backing files may take long, which must not count as silence.
    if (doing.step === 'seed') return true;
    if (known.memoryAddress === undefined) return false;
    return (
      stepIndex(doing.step) > stepIndex('prepare') && stepIndex(doing.step) <= stepIndex('drain')
    );
  }

  /** Silence is a loss only before the switchover; afterwards only the destination can report its end. */
  #onSilence(error: SerialError, address: string, since: number, silenceMs: number): void {
    const { doing } = this.#coordinator.state;
    const before = doing.kind === 'do' && stepIndex(doing.step) < stepIndex('switchover');
    const silentMs = this.#clock.monotonicMs() - since;
    if (before && silentMs >= silenceMs) {
      const named = linkSilent(error, address, this.#coordinator.state, silentMs);
      this.#coordinator.dispatch({ type: 'destination-lost', error: named });
    }
  }
}
