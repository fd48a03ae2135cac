import type { Progress, Report } from '../../protocol/public/migration.ts';

/** Updates a running report, whose journal may be minutes old, by the last look at the stream. Pure. */
export function ofNow(report: Report, { sample }: Pick<Progress, 'sample'>): Report {
  if (report.outcome !== 'running' || sample === undefined) return report;
  const { transferredBytes: bytes, round: rounds, pageRequests } = sample;
  if (report.bytes === undefined || bytes < report.bytes) return report;
  const sending = report.phases.filter(({ phase }) => phase === 'memory' || phase === 'draining');
  const ms = sending.reduce((sum, each) => sum + each.ms, 0);
  const throughput = ms > 0 ? Math.round((bytes * 1000) / ms) : 0;
  return { ...report, bytes, rounds, pageRequests, throughput };
}
