import type { MemorySample, Phase, Progress } from '../protocol/public/migration.ts';
import { formatBytes, formatDuration, formatRate } from '../protocol/quantity.ts';
import { diskLine } from './disks.ts';
import { truncate } from './terminal-width.ts';
import { printable, type Painter } from './style.ts';

export interface ShownProgress {
  readonly phase: Phase | undefined;
  readonly round: number;
  readonly note: string | undefined;
  /** Elapsed ms of the last line with numbers. */
  readonly numbersAtMs: number;
}

export const NOTHING_SHOWN: ShownProgress = {
  phase: undefined,
  round: 0,
  note: undefined,
  numbersAtMs: 0,
};

// Rounds get short as pre-copy converges: one line a second is enough.
const ROUND_LINE_MS = 1000;
const STILL_GOING_MS = 10_000;

const PHASE_WORDS: Record<Phase, string> = {
  planned: 'planned',
  checking: 'checking both hosts',
  seeding: 'sending backing files that the destination lacks',
  preparing: 'building the paused guest on the destination',
  disks: 'copying disks',
  memory: 'sending memory',
  switchover: 'switching over',
  handover: 'handing over the network',
  draining: 'the guest runs on the destination; its last memory follows',
  verifying: 'verifying',
  cleanup: 'cleaning up',
  undoing: 'rolling back',
  done: 'done',
  rehearsed: 'rehearsed; the guest runs on at the source',
  failed: 'failed; the guest runs on at the source',
  cancelled: 'cancelled; the guest runs on at the source',
  held: 'held: a person must decide',
  lost: 'the guest was lost',
};

export function phaseWords(phase: Phase): string {
  return PHASE_WORDS[phase];
}

/**
 * Lines for one step of the live view: in a log one per phase, round (at most one a second) and decision, and a sign of
 * life every 10 s; next to the block only decisions.
 */
export function show(
  shown: ShownProgress,
  now: Progress,
  where: 'log' | 'terminal',
): { readonly shown: ShownProgress; readonly lines: readonly string[] } {
  const lines: string[] = [];
  const at = `${formatDuration(now.elapsedMs).padStart(8)}  `;
  const phaseChanged = now.phase !== shown.phase;
  if (where === 'log' && phaseChanged) lines.push(`${at}${phaseWords(now.phase)}`);
  if (now.note !== undefined && now.note !== shown.note) lines.push(`${at}${printable(now.note)}`);

  let { round, numbersAtMs } = shown;
  const { sample } = now;
  const sinceMs = now.elapsedMs - numbersAtMs;
  const newRound = sample !== undefined && sample.round > round;
  if (
    sample !== undefined &&
    inStream(now.phase) &&
    now.still === undefined &&
    (newRound ? sinceMs >= ROUND_LINE_MS || round === 0 : sinceMs >= STILL_GOING_MS)
  ) {
    if (where === 'log') lines.push(`${at}${numbersOf(now)}`);
    ({ round } = sample);
    numbersAtMs = now.elapsedMs;
  }
  const disks = isOfDisks(now.phase) ? now.disks : undefined;
  if (where === 'log' && disks !== undefined && (phaseChanged || sinceMs >= STILL_GOING_MS)) {
    lines.push(`${at}${diskLine(now)}${etaOf(now)}`);
    numbersAtMs = now.elapsedMs;
  }
  return { shown: { phase: now.phase, round, note: now.note ?? shown.note, numbersAtMs }, lines };
}

/** After the switch the last sample is outdated. */
function inStream(phase: Phase): boolean {
  return phase === 'memory' || phase === 'draining';
}

function isOfDisks(phase: Phase): boolean {
  return phase === 'disks' || phase === 'seeding';
}

function etaOf({ etaMs }: Progress): string {
  return etaMs === undefined ? '' : `, ETA ${formatDuration(etaMs)}`;
}

/** In the first round a rate of 0 means that it is not measured yet. */
function ratesOf({ round, rate, dirtyRate }: MemorySample): string[] {
  const isMeasured = (amount: number): boolean => amount > 0 || round > 1;
  return [
    ...(isMeasured(rate) ? [`rate ${formatRate(rate)}`] : []),
    ...(isMeasured(dirtyRate) ? [`dirty ${formatRate(dirtyRate)}`] : []),
  ];
}

/** In the first round QEMU only repeats the permitted downtime. */
function expectedOf({ round, expectedDowntimeMs: expected }: MemorySample): string[] {
  if (expected === undefined || round < 2) return [];
  return [`expected downtime ${formatDuration(expected)}`];
}

function numbersOf(now: Progress): string {
  const { sample } = now;
  if (sample === undefined) return `${now.percent.toFixed(0)} %`;
  const parts = [
    `round ${sample.round}`,
    `${now.percent.toFixed(0)} %`,
    `${formatBytes(sample.transferredBytes)} sent`,
    ...ratesOf(sample),
    `left ${formatBytes(sample.remainingBytes)}`,
  ];
  if (now.etaMs !== undefined) parts.push(`ETA ${formatDuration(now.etaMs)}`);
  return [...parts, ...expectedOf(sample)].join(', ');
}

/** The block redrawn on a terminal: three lines of at most `columns`. */
export function progressBlock(now: Progress, columns: number, paint: Painter): string[] {
  const head = `${paint.bold(printable(now.guest))}  ${now.from} → ${now.to}  ${now.mode}  ${paint.dim(now.id)}`;
  const { sample } = now;
  const tail = [
    `${now.percent.toFixed(0).padStart(3)} %`,
    formatDuration(now.elapsedMs),
    ...(now.etaMs === undefined ? [] : [`ETA ${formatDuration(now.etaMs)}`]),
  ].join('  ');
  const phase = now.phase.padEnd(10);
  const room = Math.min(40, columns - phase.length - tail.length - 4);
  const bar = room >= 8 ? `${progressBar(now.percent, room, paint)}  ` : '';
  const resting =
    now.disks !== undefined && isOfDisks(now.phase) ? diskLine(now) : phaseWords(now.phase);
  const numbers =
    sample === undefined || now.still !== undefined || !inStream(now.phase)
      ? (now.still && now.note) || resting
      : [
          `round ${sample.round}`,
          ...ratesOf(sample),
          `left ${formatBytes(sample.remainingBytes)}`,
          ...expectedOf(sample),
          ...(sample.pageRequests === 0 ? [] : [`page requests ${sample.pageRequests}`]),
        ].join('  ');
  return [head, `${paint.cyan(phase)}  ${bar}${tail}`, `  ${paint.dim(numbers)}`].map((line) =>
    truncate(line, columns),
  );
}

function progressBar(percent: number, columns: number, paint: Painter): string {
  const full = Math.round((Math.min(100, Math.max(0, percent)) / 100) * columns);
  return paint.green('█'.repeat(full)) + paint.dim('░'.repeat(columns - full));
}
