import type { LinkMeasure } from '../../links/session.ts';

/**
 * How much may be under way. What is queued ahead of the last pages when the guest stops is downtime: so the source
 * reads no more from its hypervisor while more is under way than the link and the codec need to be kept busy, in
 * bytes of the link and in bytes of the hypervisor's stream (few of the one can be many of the other).
 */
export interface Limits {
  readonly linkBytes: number;
  readonly streamBytes: number;
}

const KIB = 1024;
const MIN_LINK = 128 * KIB;
const MIN_STREAM = 512 * KIB;

/** Of a round of the hypervisor's through memory. */
interface Round {
  /** What the codec on both sides and the far hypervisor take to pass something on. */
  readonly workMs: number;
  readonly gain: number;
  readonly leastBytes: number;
}

/**
 * While no page is sent twice there is no switchover near, and a full link is all that counts: more is let out than is
 * known to fit, so that a faster link shows itself. The second round still is a long one; those after it are short, and
 * one of them is the last. Where it is not, a busy host may need more under way to get ahead of what the guest dirties.
 */
const FIRST: Round = { workMs: 20, gain: 2, leastBytes: 8192 * KIB };
const LONG: Round = { workMs: 20, gain: 1.25, leastBytes: 0 };
const SHORT: Round = { workMs: 8, gain: 1.25, leastBytes: 0 };
/**
 * The first round of a guest that goes over to post-copy at once: whatever is under way then is a time in which it does not
 * run, and there is little to learn of the link before.
 */
const SOON_ROUND: Round = { workMs: 8, gain: 2, leastBytes: 1024 * KIB };
/** Each page that a processor of the guest asks for comes behind all of this, one after the other. */
const AWAITED_ROUND: Round = {
  workMs: 4,
  gain: 1.25,
  leastBytes: 0,
};
/** Instead of a round: somebody waits for pages. */
export const AWAITED = 0;
/** Instead of the first round: the guest goes over to post-copy at once. */
export const SOON = -1;
/** So many rounds may be short ones. */
const LAST_SHORT = 8;

function kindOf(round: number): Round {
  if (round === AWAITED) return AWAITED_ROUND;
  if (round === SOON) return SOON_ROUND;
  if (round <= 1) return FIRST;
  return round === 2 || round > LAST_SHORT ? LONG : SHORT;
}

/** What counts instead of a round of the hypervisor's, for a guest that goes over to post-copy at once. */
export function soonOr(round: number, isSwitchedSoon: boolean): number {
  return isSwitchedSoon && round === 1 ? SOON : round;
}

/** The far side holds no more than this while it waits for a content, see the decoder's `mostHeldBytes`. */
export const MAX_LINK = 64 * 1024 * KIB;
/** Of the hypervisor's bytes more is never useful. */
const MAX_STREAM = 256 * 1024 * KIB;

/** `round`: 1 while no page was sent again, or SOON; AWAITED in post-copy. */
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

/** The hypervisor's bytes under way, and how fast the far hypervisor takes them. */
export class StreamMeter {
  #readBytes = 0;
  #takenBytes = 0;
  #sampledBytes = 0;
  #sampledAtMs: number | undefined;
  /** Bytes a second, of the last two seconds in which something was taken. */
  readonly #rates: number[] = [];

  get underWay(): number {
    return this.#readBytes - this.#takenBytes;
  }

  /** The best of late: a stream that pauses says nothing of how fast it could be. */
  get bytesPerS(): number {
    return Math.max(0, ...this.#rates);
  }

  read(bytes: number): void {
    this.#readBytes += bytes;
  }

  /** So many were taken since the start; false where that cannot be. */
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
