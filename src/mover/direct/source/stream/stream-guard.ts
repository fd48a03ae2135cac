import type { Clock } from '../../../../clock.ts';
import { godwitError } from '../../../../errors.ts';
import { judgeStandstill, NOTICED_MS } from '../../../../migration/steering/standstill.ts';
import type { SourceEvent } from '../../../../migration/direct/source/source-state.ts';
import type { SourceDataPath } from './data-path.ts';
import type { DestinationPeer } from '../peer.ts';

/** Shorter stalls are ignored, ms. */
const QUIET_MS = 500;
/** Time for the link to answer during a stall, ms. */
const ANSWER_MS = 600;
/** Silence until other paths are tried, ms. */
const SILENT_MS = 1500;

export interface GuardDependencies {
  readonly clock: Clock;
  readonly peer: Pick<DestinationPeer, 'answers' | 'choose'>;
  readonly dispatch: (event: SourceEvent) => void;
  /** Target of the stream; may differ from the movers' path. */
  readonly streamAddress: () => string | undefined;
}

/** Silence of pre-copy's path until it is undone, as between the movers, ms. */
const GIVE_UP_MS = 45_000;

/**
 * Watches the stream's bytes. During a stall it tests the link, which TCP would declare dead only after many minutes,
 * and reports that post-copy can be resumed or pre-copy must be given up.
 */
export class StreamGuard {
  readonly #parts: GuardDependencies;
  #sent = -1;
  #movedAt = 0;
  #wasSilent = false;
  #isReported = false;
  /** The hypervisor has sent everything; only data or an answer in flight can stall. */
  #allSent = false;

  constructor(parts: GuardDependencies) {
    this.#parts = parts;
  }

  get stillMs(): number {
    return this.#sent < 0 ? 0 : this.#parts.clock.monotonicMs() - this.#movedAt;
  }

  /** Handles a look at the stream: total bytes sent, before or after the switchover, and remaining memory. */
  saw(transferredBytes: number, step: 'memory' | 'drain', remainingBytes = Infinity): void {
    this.#allSent = step === 'drain' && remainingBytes === 0;
    if (transferredBytes === this.#sent) return;
    const { stillMs } = this;
    const isReported = this.#isReported;
    this.#sent = transferredBytes;
    this.#movedAt = this.#parts.clock.monotonicMs();
    this.#wasSilent = false;
    this.#isReported = false;
    if (step === 'memory') return;
    if (isReported) this.#parts.dispatch({ type: 'flows' });
    else if (stillMs >= NOTICED_MS) {
      this.#parts.dispatch({ type: 'flows', afterMs: Math.round(stillMs) });
    }
  }

  /**
   * Tests the link during a stall. Only rejects with the signal. Never resumes a stream with only its last bytes in
   * flight: QEMU does not send them again, so the guest would be lost.
   */
  async look(signal: AbortSignal): Promise<void> {
    if (this.#isReported || this.#allSent || this.stillMs < QUIET_MS) return;
    const { peer, dispatch, streamAddress } = this.#parts;
    const answers = await peer.answers(signal, ANSWER_MS, streamAddress());
    this.#wasSilent ||= !answers;
    const isSilent = !answers && this.stillMs >= SILENT_MS;
    const otherAnswers = isSilent && (await peer.choose(signal));
    const { stillMs } = this;
    const verdict = judgeStandstill({
      stillMs,
      answers,
      wasSilent: this.#wasSilent,
      otherAnswers,
    });
    if (verdict === 'wait' || this.#isReported || this.#allSent) return;
    this.#isReported = true;
    dispatch({ type: 'stalled', forMs: Math.round(stillMs) });
  }

  /** Gives up a stream before the switchover, which cannot be resumed. Only rejects with the signal. */
  async lookBefore(signal: AbortSignal): Promise<void> {
    if (this.#isReported || this.stillMs < GIVE_UP_MS) return;
    const { peer, dispatch, streamAddress } = this.#parts;
    const address = streamAddress() ?? '';
    if (address === '' || (await peer.answers(signal, ANSWER_MS, address))) return;
    if (this.#isReported || this.stillMs < GIVE_UP_MS) return;
    this.#isReported = true;
    const reason = `its memory stream has been stalled for ${Math.round(this.stillMs)} ms`;
    const error = godwitError('GODWIT_UNREACHABLE', { peer: 'the destination', address, reason });
    dispatch({ type: 'destination-lost', error: error.toJSON() });
  }

  /** The hypervisor itself reported the break. */
  known(): void {
    this.#isReported = true;
  }

  /** The stream was resumed, so stalls count again. */
  anew(): void {
    this.#movedAt = this.#parts.clock.monotonicMs();
    this.#wasSilent = false;
    this.#isReported = false;
  }
}

/** A returned link first resends old data; a longer stall means that it is stuck, ms. */
const STUCK_MS = 10_000;

/** State of the wire's links. The wire repairs cuts, and a live link proves a live mover. */
export class LinkState {
  #cutAt = -Infinity;
  #linkAt = -Infinity;

  look({ isCut, hasLink }: Pick<SourceDataPath, 'isCut' | 'hasLink'>, nowMs: number): void {
    if (isCut) this.#cutAt = nowMs;
    if (hasLink) this.#linkAt = nowMs;
  }

  /** Last sign of the other mover, which has a live link; monotonic ms. */
  get heardAtMs(): number {
    return this.#linkAt;
  }

  /** True if cuts shorter than `graceMs`, one or several in a row, may explain a stall of `stillMs`. */
  hides(stillMs: number, graceMs: number, nowMs: number): boolean {
    return nowMs - this.#cutAt < STUCK_MS || stillMs < graceMs + STUCK_MS;
  }
}
