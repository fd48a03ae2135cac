import type { MemorySample } from '../../protocol/public/migration.ts';
import type { CurvePoint } from '../../protocol/public/prediction.ts';
import { dirtiedWithin } from '../prediction/curve.ts';
import { LOOK_MS, type Writes } from './write-rate.ts';

/** Predicts the end of the first round from a sample of the guest's pages. Pure. */

/** Minimum length of a sample, as a share of the round; short windows do not predict long ones. */
const NEEDED_LOOK_SHARE = 0.25;
/** Actual length of a sample, with a margin, because the round may become longer. */
export const LONG_LOOK_SHARE = 0.3;
/** Maximum length, ms. */
export const MAX_LONG_LOOK_MS = 600_000;
/**
 * Memory that QEMU starts to track at once, when its first page is sent (`clear_bitmap_shift`). Writes to it from
 * then on are sent again, even if not sent before.
 */
const WATCHED_BYTES = 1024 ** 3;
/** Maximum number of such pieces that are distinguished. */
const MAX_PIECES = 64;
/** Factor on the link time of the remainder: post-copy begins with this much time left. */
const POSTCOPY_MARGIN = 1.5;
const POSTCOPY_SPARE_MS = 5000;

/** Time needed by post-copy for a remainder of this link time, ms. */
export const neededFor = (ms: number): number => ms * POSTCOPY_MARGIN + POSTCOPY_SPARE_MS;

/** Remainder of the first round, in link ms. */
export interface FirstRound {
  /** Until all memory is sent once. */
  readonly restMs: number;
  /** Pages rewritten so far. */
  readonly againNowMs: number;
  /** Pages rewritten by the end of the round. */
  readonly againThenMs: number;
}

/** `rate`: bytes/s of the link. Undefined without a long enough sample. */
export function firstRoundOf(
  { totalBytes, remainingBytes, transferredBytes, totalMs }: MemorySample,
  writes: Writes | undefined,
  rate: number,
): FirstRound | undefined {
  const sentBytes = totalBytes - remainingBytes;
  if (writes === undefined || sentBytes <= 0 || totalMs <= 0 || rate <= 0) return undefined;
  const msOf = (bytes: number): number => (bytes * 1000) / rate;
  // Zero pages take no time: the remainder is the sampled nonzero memory minus what was sent.
  const content = totalBytes * (1 - (writes.zeroShare ?? 0));
  const restMs = msOf(Math.min(remainingBytes, Math.max(0, content - transferredBytes)));
  const passMs = totalMs + restMs;
  if (passMs < LOOK_MS) return undefined;
  const curve = [...writes.curve, ...(writes.long === undefined ? [] : [writes.long])];
  const lookedMs = curve.reduce((most, { windowMs }) => Math.max(most, windowMs), 0);
  if (!isLongEnough(lookedMs, passMs)) return undefined;
  // Finished share of the round by time, without zero pages.
  const againNow = (sinceSent(curve, totalMs, totalBytes) * totalMs) / passMs;
  return {
    restMs,
    againNowMs: msOf(againNow),
    againThenMs: msOf(sinceSent(curve, passMs, totalBytes)),
  };
}

/**
 * True if post-copy must begin now to end within `leftMs`, because rewritten pages grow every moment. False if
 * post-copy would be too long as well, or if pre-copy ends by itself after the round.
 */
export function isLastMoment(
  { restMs, againNowMs, againThenMs }: FirstRound,
  { leftMs, downtimeMs }: { readonly leftMs: number; readonly downtimeMs: number },
): boolean {
  if (againThenMs <= downtimeMs || restMs > leftMs) return false;
  return restMs + neededFor(againNowMs) > leftMs;
}

/** True if that moment may come in this round, if all memory is rewritten. */
export const mayBeLate = (restMs: number, passMs: number, leftMs: number): boolean =>
  restMs + neededFor(passMs) > leftMs;

/** True if a sample of this length predicts the end of the round. */
export const isLongEnough = (lookedMs: number, passMs: number): boolean =>
  lookedMs >= passMs * NEEDED_LOOK_SHARE;

/** Memory to send again after a pass of `ms`: writes after the pass reached that piece. */
export function sinceSent(curve: readonly CurvePoint[], ms: number, memoryBytes: number): number {
  const pieces = Math.min(MAX_PIECES, Math.max(1, Math.round(memoryBytes / WATCHED_BYTES)));
  const since = Array.from({ length: pieces }, (_, at) => (ms * (at + 1)) / pieces);
  const sum = since.reduce((all, each) => all + dirtiedWithin(curve, each, memoryBytes), 0);
  return sum / pieces;
}
