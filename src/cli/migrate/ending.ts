import { ERRORS, godwitError, hasCode } from '../../errors.ts';
import { fromSerial } from '../../protocol/errors.ts';
import type { Report } from '../../protocol/public/migration.ts';
import { printJson, type Context } from '../context.ts';
import { printError } from '../failure.ts';
import type { Endpoint } from '../connection/agent-set.ts';
import { warningLines } from '../../words/checks.ts';
import { contextPainter, printView } from '../render/paint.ts';
import { summaryText } from '../../words/summary.ts';

const REPORT_TRIES = 10;
const REPORT_RETRY_MS = 200;

export async function finalReport(
  context: Context,
  { api }: Endpoint,
  id: string,
): Promise<Report> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const report = await api.report({ params: { id } });
      if (report.outcome !== 'running' || attempt >= REPORT_TRIES) return report;
    } catch (error) {
      if (attempt >= REPORT_TRIES || !hasCode(error, 'GODWIT_UNREACHABLE')) throw error;
    }
    await context.clock.sleep(REPORT_RETRY_MS);
  }
}

export function exitOf(report: Report): number {
  switch (report.outcome) {
    case 'done': {
      const { error } = report.diskCheck ?? {};
      return error === undefined ? 0 : ERRORS[error.code].exit;
    }
    case 'rehearsed':
    case 'running':
      return 0;
    case 'failed':
      return report.error === undefined
        ? ERRORS.GODWIT_STEP_FAILED.exit
        : ERRORS[report.error.code].exit;
    case 'cancelled':
      return ERRORS.GODWIT_CANCELLED.exit;
    case 'held':
      return ERRORS.GODWIT_HELD.exit;
    case 'lost':
      return ERRORS.GODWIT_LOST.exit;
  }
}

/** Prints how a migration ended and returns the exit code. With `json` only the report, on standard output. */
export function printEnding(context: Context, report: Report, json: boolean): number {
  if (json) printJson(context, report);
  else {
    const paint = contextPainter(context);
    const warned = warningLines(report.checks, paint).map((line) => `${line}\n`);
    printView(context, `${summaryText(report, paint)}${warned.join('')}`);
  }
  if (report.diskCheck?.error !== undefined) {
    printError(context, fromSerial(report.diskCheck.error));
  }
  if (report.error !== undefined) printError(context, fromSerial(report.error));
  else if (report.outcome === 'cancelled') {
    const facts = { guest: report.guest, host: report.from };
    printError(context, godwitError('GODWIT_CANCELLED', facts));
  }
  return exitOf(report);
}
