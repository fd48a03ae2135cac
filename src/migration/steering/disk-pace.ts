import type { DiskProgress } from '../../protocol/disk.ts';
import type { MigrationSettings } from '../../protocol/public/migration.ts';

/** How fast copies of disks get on against what the guest writes meanwhile, and what follows from it. Pure. */

/** What the copies were, at one moment of a monotonic clock. */
export interface Look {
  readonly atMs: number;
  readonly copiedBytes: number;
  /** Grows with what the guest writes to places that were copied already. */
  readonly totalBytes: number;
  /** Each was as good as its source once: what is written since is kept up with, and ends with the guest's stop. */
  readonly isReady: boolean;
}

export interface CopyPace {
  readonly copiesPerS: number;
  readonly writesPerS: number;
  readonly leftBytes: number;
  /** What it was measured over. */
  readonly overMs: number;
}

/** Shown rates follow what happens within this. */
const SHOWN_MS = 5000;
/** Guests write in bursts: one that only lately writes faster than its disks are copied is left alone. */
const SLOW_AFTER_MS = 10_000;
const REFUSE_AFTER_MS = 30_000;
/** From this share on what is left hardly shrinks. */
const CONVERGING_SHARE = 0.9;

export function lookAt(disks: readonly DiskProgress[], atMs: number): Look {
  const sum = (of: (disk: DiskProgress) => number): number =>
    disks.reduce((all, disk) => all + of(disk), 0);
  const [copiedBytes, totalBytes] = [
    sum((disk) => disk.copiedBytes),
    sum((disk) => disk.totalBytes),
  ];
  const isReady = disks.every(({ state }) => state === 'ready' || state === 'whole');
  return { atMs, copiedBytes, totalBytes, isReady };
}

/** The looks that still count, with the next one: none from before a copy that was begun anew, nor older than needed. */
export function withLook(looks: readonly Look[], next: Look): Look[] {
  const last = looks.at(-1);
  const goesOn =
    last === undefined ||
    (next.copiedBytes >= last.copiedBytes && next.totalBytes >= last.totalBytes);
  if (!goesOn) return [next];
  // One that is older than the longest span, so that this span is covered.
  const first = looks.findLastIndex(({ atMs }) => next.atMs - atMs >= REFUSE_AFTER_MS);
  return [...looks.slice(Math.max(0, first)), next];
}

/** Over so long at least, and not much longer; undefined while less than that is known. */
export function paceOver(looks: readonly Look[], spanMs: number): CopyPace | undefined {
  const last = looks.at(-1);
  const first = looks.findLast(({ atMs }) => (last?.atMs ?? 0) - atMs >= spanMs);
  if (last === undefined || first === undefined) return undefined;
  const overMs = last.atMs - first.atMs;
  const perS = (bytes: number): number => Math.round((bytes * 1000) / overMs);
  return {
    copiesPerS: perS(last.copiedBytes - first.copiedBytes),
    writesPerS: perS(last.totalBytes - first.totalBytes),
    leftBytes: last.totalBytes - last.copiedBytes,
    overMs,
  };
}

/** For whoever watches. */
export function shownPace(looks: readonly Look[]): CopyPace | undefined {
  const [first, last] = [looks[0], looks.at(-1)];
  if (first === undefined || last === undefined || last.atMs - first.atMs < 1000) return undefined;
  return paceOver(looks, Math.min(SHOWN_MS, last.atMs - first.atMs));
}

export type DiskDecision =
  | { readonly what: 'continue' }
  /** The guest's writes wait for the copy from here on. */
  | { readonly what: 'slow'; readonly pace: CopyPace }
  | { readonly what: 'refuse'; readonly pace: CopyPace };

/** `canSlow`: undefined while it was not tried; true where it was done, after which what is left can only shrink. */
export function judgeCopies(
  { diskWrites = 'slow' }: Pick<MigrationSettings, 'diskWrites'>,
  looks: readonly Look[],
  canSlow: boolean | undefined,
): DiskDecision {
  if (canSlow === true || looks.at(-1)?.isReady === true) return { what: 'continue' };
  const slows = diskWrites === 'slow' && canSlow !== false;
  const pace = paceOver(looks, slows ? SLOW_AFTER_MS : REFUSE_AFTER_MS);
  if (pace === undefined || pace.copiesPerS === 0) return { what: 'continue' };
  if (pace.writesPerS < pace.copiesPerS * CONVERGING_SHARE) return { what: 'continue' };
  return { what: slows ? 'slow' : 'refuse', pace };
}

/** ms until nothing is left to copy at these rates; undefined where that is never. */
export function copyEtaMs({ copiesPerS, writesPerS, leftBytes }: CopyPace): number | undefined {
  const net = copiesPerS - writesPerS;
  return net <= 0 ? undefined : Math.round((leftBytes * 1000) / net);
}

/** After so long a silence of the other host the guest's writes no longer wait for it. */
const MUST_ANSWER_MS = 1000;
/** Bytes that may wait in line at once before an answer can come: a connection's first room, and the session's window. */
const IN_LINE_BYTES = 768 * 1024;
/** On a link of less a write that waits for the other host would wait for seconds. */
const MIN_SLOW_BYTES_PER_S = 1024 ** 2;

/** On the slowest link on which a guest's writes wait, and no more than that, ms: guests have timeouts of their own. */
const MAX_ANSWER_MS =
  MUST_ANSWER_MS + Math.round((2 * IN_LINE_BYTES * 1000) / MIN_SLOW_BYTES_PER_S);
/** While nobody knows what the link carries. */
const UNKNOWN_ANSWER_MS = 5 * MUST_ANSWER_MS;

/**
 * For how long the other host may be silent once the guest's writes wait for it, ms; `bytesPerS`: what the link carries at
 * this moment, 0 while not known; `copiesPerS`: what it carried of the copies for a while, 0 while not known.
 */
export function answerTimeoutMs(bytesPerS: number, copiesPerS = 0): number {
  const known = Math.max(bytesPerS, copiesPerS);
  if (known === 0) return UNKNOWN_ANSWER_MS;
  const neededMs = MUST_ANSWER_MS + Math.round((2 * IN_LINE_BYTES * 1000) / known);
  return Math.min(MAX_ANSWER_MS, neededMs);
}

/**
 * Whether a guest's writes may wait for the link at all. `bytesPerS`: what it carries at this moment, 0 while not known;
 * that it carried the copies for a while (`copiesPerS`) says more than that.
 */
export function mayWaitFor(bytesPerS: number, copiesPerS = 0): boolean {
  return bytesPerS === 0 || Math.max(bytesPerS, copiesPerS) >= MIN_SLOW_BYTES_PER_S;
}
