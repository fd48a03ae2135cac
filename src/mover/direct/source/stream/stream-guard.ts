import type { Clock } from '../../../../clock.ts';
import { godwitError } from '../../../../errors.ts';
import { judgeStandstill, NOTICED_MS } from '../../../../migration/steering/standstill.ts';
import type { SourceEvent } from '../../../../migration/direct/source-state.ts';
import type { SourceDataPath } from './data-path.ts';
import type { DestinationPeer } from '../peer.ts';

/** Still for less than this, nothing is asked of the link, ms. */
const QUIET_MS = 500;
/** How long the link may take to answer while the stream is stalled, ms. */
const ANSWER_MS = 600;
/** Silent for so long in all, other paths are tried, ms. */
const SILENT_MS = 1500;

/** What the guard works with. */
export interface GuardDependencies {
  readonly clock: Clock;
  readonly peer: Pick<DestinationPeer, 'answers' | 'choose'>;
  readonly dispatch: (event: SourceEvent) => void;
  /** Where the stream goes to: not always the path over which the movers speak. */
  readonly streamAddress: () => string | undefined;
}

/** Pre-copy whose path takes nothing for so long is rolled back, as where the movers hear nothing of each other; ms. */
const GIVE_UP_MS = 45_000;

/**
 * Minds the stream's bytes. Where they are stalled it asks the link, which TCP would find dead only after many minutes,
 * and says so when post-copy can be resumed, or pre-copy has to be given up.
 */
export class StreamGuard {
  readonly #parts: GuardDependencies;
  #sent = -1;
  #movedAt = 0;
  #wasSilent = false;
  /** It was said that they are stalled, and nobody has to say it again. */
  #isReported = false;
  /** The hypervisor has nothing left to send: what is stalled is in flight, or its answer is. */
  #allSent = false;

  constructor(parts: GuardDependencies) {
    this.#parts = parts;
  }

  /** How long the bytes have been stalled, ms. */
  get stillMs(): number {
    return this.#sent < 0 ? 0 : this.#parts.clock.monotonicMs() - this.#movedAt;
  }

  /** A look at the stream: so many bytes were sent in all, before the switch or after it, and so many of memory are left. */
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
   * Asks the link where the bytes are stalled. Rejects with the signal alone. A stream whose last bytes are in flight is
   * let alone however long they take: QEMU sends them no second time, so taking it up anew would lose the guest.
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

  /** Before the switch: a stream that cannot be resumed is given up. Rejects with the signal alone. */
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

  /** The hypervisor itself reported that the stream broke: what is stalled is known. */
  known(): void {
    this.#isReported = true;
  }

  /** It was resumed: from now on bytes are missed again. */
  anew(): void {
    this.#movedAt = this.#parts.clock.monotonicMs();
    this.#wasSilent = false;
    this.#isReported = false;
  }
}

/** A link that is back has first to send again what was kept; still for longer than this it is stuck, ms. */
const STUCK_MS = 10_000;

/** What was seen of the wire's links: a cut is the wire's own to repair, and it is heard over a link that stands. */
export class LinkState {
  /** When it had no link, and when it had one. */
  #cutAt = -Infinity;
  #linkAt = -Infinity;

  look({ isCut, hasLink }: Pick<SourceDataPath, 'isCut' | 'hasLink'>, nowMs: number): void {
    if (isCut) this.#cutAt = nowMs;
    if (hasLink) this.#linkAt = nowMs;
  }

  /** When the other mover was heard over it last, as it has a link of its own process; monotonic ms. */
  get heardAtMs(): number {
    return this.#linkAt;
  }

  /**
   * Whether bytes that have been stalled for `stillMs` are no reason to do anything: a cut of less than `graceMs` may be
   * the cause, or several with little between them, after which they have been stalled for longer than any.
   */
  hides(stillMs: number, graceMs: number, nowMs: number): boolean {
    return nowMs - this.#cutAt < STUCK_MS || stillMs < graceMs + STUCK_MS;
  }
}
