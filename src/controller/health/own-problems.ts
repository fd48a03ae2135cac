import type { OwnProblem } from '../../protocol/controller/own-problems.ts';
import { formatBytes, formatDuration } from '../../protocol/quantity.ts';

export interface DiskRoom {
  readonly directory: string;
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** Facts of the last look. Unreadable facts are absent, or have a `problem`. */
export interface OwnFacts {
  readonly disks: readonly DiskRoom[];
  readonly database?: { readonly tookMs: number } | { readonly problem: string };
  /** ms since 1970 */
  readonly certificateUntilMs?: number;
  readonly list?: { readonly untilMs: number } | { readonly problem: string };
}

export const NO_FACTS: OwnFacts = { disks: [] };

const MIB = 1024 ** 2;
/** The database refuses writes when its disk is full; this is the warning level. */
const LOW_BYTES = 1024 * MIB;
const LOW_SHARE = 0.05;
const FULL_BYTES = 64 * MIB;
/** Certificates and lists are renewed long before this. */
const SLOW_MS = 1000;
const DAY_MS = 86_400_000;
/** Certificates and lists are renewed long before this; less time means that the renewal failed. */
const CERTIFICATE_LOW_MS = 3 * DAY_MS;
const LIST_LOW_MS = 3 * DAY_MS;

export function problemsIn(facts: OwnFacts, nowMs: number): OwnProblem[] {
  return [
    ...facts.disks.flatMap(diskProblems),
    ...databaseProblems(facts),
    ...certificateProblems(facts, nowMs),
    ...listProblems(facts, nowMs),
  ];
}

function diskProblems({ directory, freeBytes, totalBytes }: DiskRoom): OwnProblem[] {
  const isLow = freeBytes < LOW_BYTES && freeBytes < totalBytes * LOW_SHARE;
  const isFull = freeBytes < FULL_BYTES;
  if (!isLow && !isFull) return [];
  const left = `${formatBytes(freeBytes)} of ${formatBytes(totalBytes)} are free`;
  const words = isFull
    ? `the disk of ${directory} is full: ${left}`
    : `the disk of ${directory} is almost full: ${left}`;
  const hint =
    'Free room there. A controller with a full disk accepts no request; migrations continue.';
  return [{ about: 'disk', severity: isFull ? 'bad' : 'warn', words, hint }];
}

function databaseProblems({ database }: OwnFacts): OwnProblem[] {
  if (database === undefined) return [];
  if ('problem' in database) {
    const hint = 'The controller continues once its database answers. No accepted request is lost.';
    return [{ about: 'database', severity: 'bad', words: clipped(database.problem), hint }];
  }
  if (database.tookMs < SLOW_MS) return [];
  const words = `the database is slow: one answer took ${formatDuration(database.tookMs)}`;
  const hint = 'Look at the load of its disk and of its host. Pages and plans wait for it.';
  return [{ about: 'database', severity: 'warn', words, hint }];
}

function certificateProblems(
  { certificateUntilMs: untilMs }: OwnFacts,
  nowMs: number,
): OwnProblem[] {
  if (untilMs === undefined || untilMs - nowMs >= CERTIFICATE_LOW_MS) return [];
  const hint =
    'Issue a new certificate for the controller, as it was issued the first time (docs/certificates.md).';
  const about = 'certificate';
  if (untilMs <= nowMs) {
    const words = `the certificate of the controller expired ${agoWords(nowMs - untilMs)}: no host accepts it`;
    return [{ about, severity: 'bad', words, hint }];
  }
  const words = `the certificate of the controller expires ${inWords(untilMs - nowMs)}`;
  return [{ about, severity: 'warn', words, hint }];
}

function listProblems({ list }: OwnFacts, nowMs: number): OwnProblem[] {
  if (list === undefined) return [];
  const hint = 'Start the agent of the host that holds the CA: it renews the list.';
  const about = 'fleet-list';
  if ('problem' in list) return [{ about, severity: 'bad', words: clipped(list.problem), hint }];
  const leftMs = list.untilMs - nowMs;
  if (leftMs >= LIST_LOW_MS) return [];
  if (leftMs > 0) {
    const words = `the fleet list expires ${inWords(leftMs)} and was not renewed`;
    return [{ about, severity: 'warn', words, hint }];
  }
  const words = `the fleet list expired ${agoWords(-leftMs)}: certificates of operators and viewers are refused`;
  return [{ about, severity: 'bad', words, hint }];
}

const inWords = (ms: number): string => `in ${daysText(ms)}`;
const agoWords = (ms: number): string => `${daysText(ms)} ago`;

function daysText(ms: number): string {
  if (ms < 2 * DAY_MS) return formatDuration(ms);
  return `${Math.floor(ms / DAY_MS)} days`;
}

const MAX_WORDS = 500;
const clipped = (words: string): string => words.slice(0, MAX_WORDS);
