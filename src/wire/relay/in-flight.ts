import type { LinkMeasure } from '../../links/session.ts';

/**
 * Limits of data in flight. Data queued ahead of the last pages when the guest stops is downtime. The source
 * therefore stops reading from its hypervisor while more is in flight than link and codec need, in link bytes
 * and in stream bytes.
 */
export interface Limits {
  readonly linkBytes: number;
  readonly streamBytes: number;
}

const KIB = 1024;
const MIN_LINK = 128 * KIB;
const MIN_STREAM = 512 * KIB;

interface Round {
  /** Processing time of both codecs and the far hypervisor, ms. */
  readonly workMs: number;
  readonly gain: number;
  readonly leastBytes: number;
}

/**
 * First round: no switchover is near, so more is allowed than known to fit, and a faster link is discovered. The
 * second round is still long; later ones are short, and one of them is the last. If none is, a busy host may
 * need more in flight to outpace the guest's writes.
 */
const FIRST: Round = { workMs: 20, gain: 2, leastBytes: 8192 * KIB };
const LONG: Round = { workMs: 20, gain: 1.25, leastBytes: 0 };
const SHORT: Round = { workMs: 8, gain: 1.25, leastBytes: 0 };
/**
 * First round of a guest that switches to post-copy at once: data in flight is time in which it does not run,
 * and little can be learned about the link.
 */
const SOON_ROUND: Round = { workMs: 8, gain: 2, leastBytes: 1024 * KIB };
/** Each page that a vCPU requests waits behind all of this, one after the other. */
const AWAITED_ROUND: Round = {
  workMs: 4,
  gain: 1.25,
  leastBytes: 0,
};
/** Used instead of a round if a process waits for pages. */
export const AWAITED = 0;
/** Used instead of the first round if the guest switches to post-copy at once. */
export const SOON = -1;
const LAST_SHORT = 8;

function kindOf(round: number): Round {
  if (round === AWAITED) return AWAITED_ROUND;
  if (round === SOON) return SOON_ROUND;
  if (round <= 1) return FIRST;
  return round === 2 || round > LAST_SHORT ? LONG : SHORT;
}

/** Replacement for the hypervisor's round, for a guest that switches to post-copy at once. */
export function soonOr(round: number, isSwitchedSoon: boolean): number {
  return isSwitchedSoon && round === 1 ? SOON : round;
}

/** The far side holds no more than this while it waits for a content, see the decoder's `mostHeldBytes`. */
export const MAX_LINK = 64 * 1024 * KIB;
/** More stream bytes are never useful. */
const MAX_STREAM = 256 * 1024 * KIB;

/** `round`: 1 before the first repeated page, or SOON; AWAITED in post-copy. */
export function limitsOf(
  link: Pick<LinkMeasure, 'bytesPerS' | 'roundTripMs'>,
  streamBytesPerS: number,
  round: number,
): Limits {
  const { workMs, gain, leastBytes } = kindOf(round);
  const ms = workMs + link.roundTripMs;
  const fits = (bytesPerS: number): number => (gain * bytesPerS * ms) / 1000;
  return {
    linkBytes: Math.min(MAX_LINK, Math.max(fits(link.bytesPerS), leastBytes, MIN_LINK)),
    streamBytes: Math.min(MAX_STREAM, Math.max(fits(streamBytesPerS), leastBytes, MIN_STREAM)),
  };
}

const SAMPLE_MS = 50;
const SAMPLES = 40;

/** Stream bytes in flight, and the far hypervisor's rate. */
export class StreamMeter {
  #readBytes = 0;
  #takenBytes = 0;
  #sampledBytes = 0;
  #sampledAtMs: number | undefined;
  /** Bytes per second, of the last two seconds in which something was taken. */
  readonly #rates: number[] = [];

  get underWay(): number {
    return this.#readBytes - this.#takenBytes;
  }

  /** Best recent rate, because a paused stream does not show its speed. */
  get bytesPerS(): number {
    return Math.max(0, ...this.#rates);
  }

  read(bytes: number): void {
    this.#readBytes += bytes;
  }

  /** Total taken since the start; false if that is impossible. */
  taken(totalBytes: number, nowMs: number): boolean {
    if (totalBytes < this.#takenBytes || totalBytes > this.#readBytes) return false;
    this.#takenBytes = totalBytes;
    this.#sampledAtMs ??= nowMs;
    const tookMs = nowMs - this.#sampledAtMs;
    if (tookMs < SAMPLE_MS) return true;
    this.#rates.push(((totalBytes - this.#sampledBytes) * 1000) / tookMs);
    if (this.#rates.length > SAMPLES) this.#rates.shift();
    this.#sampledAtMs = nowMs;
    this.#sampledBytes = totalBytes;
    return true;
  }
}
