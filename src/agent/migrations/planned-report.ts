import { defined } from '../../protocol/defined.ts';
import { migrationSettings, type Progress, type Report } from '../../protocol/public/migration.ts';
import { isManagedRequest, type MoverRequest } from '../../protocol/mover/request.ts';

export function briefly(report: Report): Progress {
  const { id, guest, from, to, mode, phase, totalMs, error } = report;
  const percent = report.outcome === 'done' ? 100 : 0;
  const brief = { id, guest, from, to, mode, phase, elapsedMs: totalMs, percent };
  return error === undefined ? brief : { ...brief, error };
}

export function planned(request: MoverRequest, nowMs: number): Report {
  const { id, fromHost, toHost, createdAt } = request;
  const guest = request.side === 'source' ? request.request.guest : request.admission.guest;
  const settings = migrationSettings.parse(
    request.side === 'source' ? request.request : (request.admission.settings ?? {}),
  );
  const { memoryBytes } = request.side === 'source' ? request : request.admission;
  return {
    id,
    guest,
    from: fromHost,
    to: toHost,
    side: request.side,
    outcome: 'running',
    phase: 'planned',
    mode: settings.mode,
    finished: 'none',
    settings,
    startedAt: createdAt,
    totalMs: Math.max(0, nowMs - Date.parse(createdAt)),
    ...(isManagedRequest(request) ? {} : { bytes: 0, rounds: 0, throughput: 0, pageRequests: 0 }),
    ...defined({ memoryBytes }),
    roundList: [],
    phases: [],
    checks: [],
    decisions: [],
    takeovers: 0,
    runsAt: 'source',
  };
}
