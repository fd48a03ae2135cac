import type { Report } from '../../protocol/public/migration.ts';

/** The figures of a prediction, by their names there. */
export type PredictionFigure =
  | 'bytes'
  | 'totalMs'
  | 'memoryMs'
  | 'rounds'
  | 'downtimeMs'
  | 'clientGapMs'
  | 'diskMs'
  | 'diskBytes';

/**
 * What a migration came to, beside its prediction; a figure is absent where nobody saw it, and all are where it did not come
 * to its end: bytes over the link, ms, rounds.
 */
export function cameTo(report: Report): Came {
  if (report.outcome !== 'done') return {};
  const { wire, bytes, phases, rounds, downtimeMs, diskLink } = report;
  const memory = phases.filter(({ phase }) => phase === 'memory' || phase === 'draining');
  const copies = phases.filter(({ phase }) => phase === 'disks');
  const came = {
    bytes: wire?.linkBytes ?? bytes,
    totalMs: leavesOut(report) ? undefined : workedMs(report),
    memoryMs: sumOf(memory),
    rounds,
    downtimeMs,
    clientGapMs: switchGapMs(report),
    diskMs: copies.length === 0 ? undefined : sumOf(copies),
    diskBytes: diskLink?.sentBytes,
  };
  return seenOf(came);
}

/**
 * What a rehearsal came to until the switch that it did not make, where that was by pre-copy: there all memory had been sent
 * but for the last pages. Predictions do not learn from it.
 */
export function rehearsedTo(report: Report): Came {
  if (report.outcome !== 'rehearsed' || report.rehearsal?.switches !== 'precopy') return {};
  const { bytes, rounds, memoryMs } = cameTo({ ...report, outcome: 'done' });
  return seenOf({ bytes, rounds, memoryMs });
}

type Came = Readonly<Partial<Record<PredictionFigure, number>>>;

const seenOf = (came: Partial<Record<PredictionFigure, number | undefined>>): Came =>
  Object.fromEntries(Object.entries(came).filter(([, amount]) => amount !== undefined));

const sumOf = (phases: Report['phases']): number => phases.reduce((sum, { ms }) => sum + ms, 0);

/** What was predicted of the total time had no part that it took: no prediction knows of backing files, and not each of the copies of disks. */
function leavesOut({ phases, prediction }: Report): boolean {
  return phases.some(
    ({ phase }) => phase === 'seeding' || (phase === 'disks' && prediction?.disks === undefined),
  );
}

/** How long it took, ms, without the time for which it waited for its moment (`--window`, `--when quiet`). */
export function workedMs({ totalMs, phases }: Pick<Report, 'totalMs' | 'phases'>): number {
  const waits = phases.filter(({ phase }) => phase === 'planned');
  return Math.max(0, totalMs - waits.reduce((sum, { ms }) => sum + ms, 0));
}

/** The longest time without an answer that a host which watched the guest saw, ms. */
export function clientGapMs({ vantages = [] }: Pick<Report, 'vantages'>): number | undefined {
  const gaps = vantages.flatMap(({ gapMs }) => gapMs ?? []);
  return gaps.length === 0 ? undefined : Math.max(...gaps);
}

/**
 * The same at the switch, which is what a prediction speaks of, as far as the hosts know when that was. One that was stalled
 * itself for as long saw nothing of the guest, and one that still waits has not seen the end of it.
 */
function switchGapMs({ vantages = [] }: Pick<Report, 'vantages'>): number | undefined {
  const gaps = vantages.flatMap(({ switchGapMs: atSwitch, gapMs, ownStallMs = 0, isOpen }) => {
    const gap = atSwitch ?? gapMs;
    return gap === undefined || isOpen === true || ownStallMs >= gap ? [] : [gap];
  });
  return gaps.length === 0 ? undefined : Math.max(...gaps);
}
