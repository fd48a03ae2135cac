import type { Report } from '../../protocol/public/migration.ts';

export type PredictionFigure =
  | 'bytes'
  | 'totalMs'
  | 'memoryMs'
  | 'rounds'
  | 'downtimeMs'
  | 'clientGapMs'
  | 'diskMs'
  | 'diskBytes';

/** Actual figures of a finished migration: link bytes, ms, rounds. Unobserved figures are absent. */
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

/** Figures of a rehearsal up to its omitted switchover, if that was by pre-copy: only the last pages were not sent. */
export function rehearsedTo(report: Report): Came {
  if (report.outcome !== 'rehearsed' || report.rehearsal?.switches !== 'precopy') return {};
  const { bytes, rounds, memoryMs } = cameTo({ ...report, outcome: 'done' });
  return seenOf({ bytes, rounds, memoryMs });
}

type Came = Readonly<Partial<Record<PredictionFigure, number>>>;

const seenOf = (came: Partial<Record<PredictionFigure, number | undefined>>): Came =>
  Object.fromEntries(Object.entries(came).filter(([, amount]) => amount !== undefined));

const sumOf = (phases: Report['phases']): number => phases.reduce((sum, { ms }) => sum + ms, 0);

/** The predicted total lacks a part: predictions ignore backing files and some disk copies. */
function leavesOut({ phases, prediction }: Report): boolean {
  return phases.some(
    ({ phase }) => phase === 'seeding' || (phase === 'disks' && prediction?.disks === undefined),
  );
}

/** Duration without requested waits (`--window`, `--when quiet`), ms. */
export function workedMs({ totalMs, phases }: Pick<Report, 'totalMs' | 'phases'>): number {
  const waits = phases.filter(({ phase }) => phase === 'planned');
  return Math.max(0, totalMs - waits.reduce((sum, { ms }) => sum + ms, 0));
}

/** Longest time without an answer that a watching host saw, ms. */
export function clientGapMs({ vantages = [] }: Pick<Report, 'vantages'>): number | undefined {
  const gaps = vantages.flatMap(({ gapMs }) => gapMs ?? []);
  return gaps.length === 0 ? undefined : Math.max(...gaps);
}

/** Same at the switchover, as predicted, if the hosts know its time. Excludes hosts that stalled or still wait. */
function switchGapMs({ vantages = [] }: Pick<Report, 'vantages'>): number | undefined {
  const gaps = vantages.flatMap(({ switchGapMs: atSwitch, gapMs, ownStallMs = 0, isOpen }) => {
    const gap = atSwitch ?? gapMs;
    return gap === undefined || isOpen === true || ownStallMs >= gap ? [] : [gap];
  });
  return gaps.length === 0 ? undefined : Math.max(...gaps);
}
