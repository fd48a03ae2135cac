import type { MemorySample } from '../../protocol/public/migration.ts';
import type { CurvePoint } from '../../protocol/public/prediction.ts';
import { dirtiedWithin } from '../prediction/curve.ts';
import { LOOK_MS, type Writes } from './write-rate.ts';

/** What a look at the guest's pages shows of the first round's end, while that round runs. Pure. */

/**
 * Of the time that the round takes in all, a look has to have seen so much. What a guest writes in a long time cannot be
 * said by what it does in a short one.
 */
const NEEDED_LOOK_SHARE = 0.25;
/** So a look is made that takes a little more: the round may turn out to be longer. */
export const LONG_LOOK_SHARE = 0.3;
/** It takes no more than this, ms. */
export const MAX_LONG_LOOK_MS = 600_000;
/**
 * As much memory as QEMU begins to watch at once, as the first page of it is sent (`clear_bitmap_shift`): what is written in
 * it from then on is sent again, also if it had not been sent yet.
 */
const WATCHED_BYTES = 1024 ** 3;
/** Pieces of that size that are told apart at the most. */
const MAX_PIECES = 64;
/** Post-copy begins with so much more time left than the rest takes by the link. */
const POSTCOPY_MARGIN = 1.5;
const POSTCOPY_SPARE_MS = 5000;

/** From when on post-copy has to bring over what takes so long by the link: with how much time left, ms. */
export const neededFor = (ms: number): number => ms * POSTCOPY_MARGIN + POSTCOPY_SPARE_MS;

/** The rest of the first round, all in ms of the link. */
export interface FirstRound {
  /** Until all memory was sent once. */
  readonly restMs: number;
  /** What was written by now of what is there already. */
  readonly againNowMs: number;
  /** What will have been written by the end of the round. */
  readonly againThenMs: number;
}

/** `rate`: bytes/s of the link. Undefined where nobody has looked at the guest's pages for long enough. */
export function firstRoundOf(
  { totalBytes, remainingBytes, transferredBytes, totalMs }: MemorySample,
  writes: Writes | undefined,
  rate: number,
): FirstRound | undefined {
  const sentBytes = totalBytes - remainingBytes;
  if (writes === undefined || sentBytes <= 0 || totalMs <= 0 || rate <= 0) return undefined;
  const msOf = (bytes: number): number => (bytes * 1000) / rate;
  // Pages of zeros take no time. Where they lie nobody knows: what is left is what the look saw of others, less what was sent.
  const content = totalBytes * (1 - (writes.zeroShare ?? 0));
  const restMs = msOf(Math.min(remainingBytes, Math.max(0, content - transferredBytes)));
  const passMs = totalMs + restMs;
  if (passMs < LOOK_MS) return undefined;
  const curve = [...writes.curve, ...(writes.long === undefined ? [] : [writes.long])];
  const lookedMs = curve.reduce((most, { windowMs }) => Math.max(most, windowMs), 0);
  if (!isLongEnough(lookedMs, passMs)) return undefined;
  // The share of the round that is over, by its time: pages of zeros that are left take none of it.
  const againNow = (sinceSent(curve, totalMs, totalBytes) * totalMs) / passMs;
  return {
    restMs,
    againNowMs: msOf(againNow),
    againThenMs: msOf(sinceSent(curve, passMs, totalBytes)),
  };
}

/**
 * Whether post-copy has to begin now to be over within `leftMs`: each moment of the first round makes more of what has to be
 * sent again. Not where the round itself takes longer than that, and post-copy as well. Nor where what is left after the round
 * fits into the downtime: pre-copy ends by itself then.
 */
export function isLastMoment(
  { restMs, againNowMs, againThenMs }: FirstRound,
  { leftMs, downtimeMs }: { readonly leftMs: number; readonly downtimeMs: number },
): boolean {
  if (againThenMs <= downtimeMs || restMs > leftMs) return false;
  return restMs + neededFor(againNowMs) > leftMs;
}

/** Whether that moment may come in a round of which so much is left, if all of memory were written meanwhile. */
export const mayBeLate = (restMs: number, passMs: number, leftMs: number): boolean =>
  restMs + neededFor(passMs) > leftMs;

/** Whether a look of so long says what the round's end will be like. */
export const isLongEnough = (lookedMs: number, passMs: number): boolean =>
  lookedMs >= passMs * NEEDED_LOOK_SHARE;

/**
 * Of all memory, what has to be sent again after a pass that took `ms`: what is written from the moment on at which the pass
 * came to that piece of memory.
 */
export function sinceSent(curve: readonly CurvePoint[], ms: number, memoryBytes: number): number {
  const pieces = Math.min(MAX_PIECES, Math.max(1, Math.round(memoryBytes / WATCHED_BYTES)));
  const since = Array.from({ length: pieces }, (_, at) => (ms * (at + 1)) / pieces);
  const sum = since.reduce((all, each) => all + dirtiedWithin(curve, each, memoryBytes), 0);
  return sum / pieces;
}
