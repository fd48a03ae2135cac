import type { Report } from '../../protocol/public/migration.ts';

/** The figures of a prediction, by their names there. */
export type Predicted = 'bytes' | 'totalMs' | 'memoryMs' | 'rounds' | 'downtimeMs' | 'clientGapMs';

/**
 * What a migration came to, beside its prediction; a figure is absent where nobody saw it, and all are where it did not come
 * to its end: bytes over the link, ms, rounds.
 */
export function cameTo(report: Report): Readonly<Partial<Record<Predicted, number>>> {
  if (report.outcome !== 'done') return {};
  const { wire, bytes, phases, rounds, downtimeMs } = report;
  const memory = phases.filter(({ phase }) => phase === 'memory' || phase === 'draining');
  const came = {
    bytes: wire?.linkBytes ?? bytes,
    totalMs: workedMs(report),
    memoryMs: memory.reduce((sum, { ms }) => sum + ms, 0),
    rounds,
    downtimeMs,
    clientGapMs: clientGapMs(report),
  };
  return Object.fromEntries(Object.entries(came).filter(([, amount]) => amount !== undefined));
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
