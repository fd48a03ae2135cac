import type { DiskProgress } from '../../protocol/disk.ts';
import type { MigrationSettings } from '../../protocol/public/migration.ts';

/** Speed of disk copies against the guest's writes, and the consequences. Pure. */

/** State of the copies at a moment of a monotonic clock. */
export interface Look {
  readonly atMs: number;
  readonly copiedBytes: number;
  /** Grows with guest writes to copied places. */
  readonly totalBytes: number;
  /** Each copy was in sync once; later writes are kept up with until the guest's stop. */
  readonly isReady: boolean;
}

export interface CopyPace {
  readonly copiesPerS: number;
  readonly writesPerS: number;
  readonly leftBytes: number;
  readonly overMs: number;
}

/** Period of displayed rates. */
const SHOWN_MS = 5000;
/** Bursts shorter than this have no consequences. */
const SLOW_AFTER_MS = 10_000;
const REFUSE_AFTER_MS = 30_000;
/** Ratio of writes to copies above which the remainder barely shrinks. */
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

/** Adds a look; drops looks before a restarted copy, and those that are too old. */
export function withLook(looks: readonly Look[], next: Look): Look[] {
  const last = looks.at(-1);
  const goesOn =
    last === undefined ||
    (next.copiedBytes >= last.copiedBytes && next.totalBytes >= last.totalBytes);
  if (!goesOn) return [next];
  // Keep one look older than the longest span, to cover the span.
  const first = looks.findLastIndex(({ atMs }) => next.atMs - atMs >= REFUSE_AFTER_MS);
  return [...looks.slice(Math.max(0, first)), next];
}

/** Pace over at least this span; undefined if less is known. */
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

export function shownPace(looks: readonly Look[]): CopyPace | undefined {
  const [first, last] = [looks[0], looks.at(-1)];
  if (first === undefined || last === undefined || last.atMs - first.atMs < 1000) return undefined;
  return paceOver(looks, Math.min(SHOWN_MS, last.atMs - first.atMs));
}

export type DiskDecision =
  | { readonly what: 'continue' }
  /** Guest writes must wait for the copy from now on. */
  | { readonly what: 'slow'; readonly pace: CopyPace }
  | { readonly what: 'refuse'; readonly pace: CopyPace };

/** `canSlow`: undefined before the attempt; true once done: the remainder can then only shrink. */
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

/** ms until nothing is left to copy at these rates; undefined if never. */
export function copyEtaMs({ copiesPerS, writesPerS, leftBytes }: CopyPace): number | undefined {
  const net = copiesPerS - writesPerS;
  return net <= 0 ? undefined : Math.round((leftBytes * 1000) / net);
}

/** Longest silence of the other host while guest writes wait for it. */
const MUST_ANSWER_MS = 1000;
/** Bytes that may queue before an answer: a connection's initial buffer, and the session's window. */
const IN_LINE_BYTES = 768 * 1024;
/** On a slower link, a waiting write would take seconds. */
const MIN_SLOW_BYTES_PER_S = 1024 ** 2;

/** Limit from the slowest usable link, ms; guests have timeouts too. */
const MAX_ANSWER_MS =
  MUST_ANSWER_MS + Math.round((2 * IN_LINE_BYTES * 1000) / MIN_SLOW_BYTES_PER_S);
/** Used while the link's rate is unknown. */
const UNKNOWN_ANSWER_MS = 5 * MUST_ANSWER_MS;

/**
 * Allowed silence of the other host while guest writes wait for it, ms. `bytesPerS`: current link rate; `copiesPerS`:
 * recent rate of the copies; 0 if unknown.
 */
export function answerTimeoutMs(bytesPerS: number, copiesPerS = 0): number {
  const known = Math.max(bytesPerS, copiesPerS);
  if (known === 0) return UNKNOWN_ANSWER_MS;
  const neededMs = MUST_ANSWER_MS + Math.round((2 * IN_LINE_BYTES * 1000) / known);
  return Math.min(MAX_ANSWER_MS, neededMs);
}

/**
 * True if guest writes may wait for the link. `bytesPerS`: current rate, 0 if unknown; a sustained rate of the copies
 * counts more.
 */
export function mayWaitFor(bytesPerS: number, copiesPerS = 0): boolean {
  return bytesPerS === 0 || Math.max(bytesPerS, copiesPerS) >= MIN_SLOW_BYTES_PER_S;
}
