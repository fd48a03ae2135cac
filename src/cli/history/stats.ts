import type { Insight } from '../../protocol/controller/history.ts';
import { formatBytes, formatDuration } from '../../protocol/quantity.ts';
import { incomplete } from '../connection/agent-set.ts';
import { printJson, type Context } from '../context.ts';
import { controllerNamed } from '../connection/controller-place.ts';
import { sayIncomplete } from '../failure.ts';
import { insightOfAgents } from './fleet-insight.ts';
import { withController } from '../connection/fleet-lists.ts';
import { SPREAD, spreadRow } from './kept-reports.ts';
import { listLook } from '../lists.ts';
import { FIGURE_NAMES } from '../../protocol/controller/figure-names.ts';
import { scoresText } from './prediction-scores.ts';
import { renderTable, type Look } from '../../words/table.ts';
import type { statsSpec } from './specs.ts';
import type { Input, Run } from '../verb.ts';

const MONTH_MS = 30 * 86_400_000;

export const run: Run<typeof statsSpec> = async (input, context) => {
  const untilMs = context.clock.wallMs();
  const sinceMs = Math.max(0, untilMs - (input.flags.since ?? MONTH_MS));
  const where = controllerNamed(input.connection, context.env);
  if (where !== undefined) {
    const query = { since: new Date(sinceMs).toISOString() };
    const insight = await withController(where, input.connection, context.env, (api) =>
      api.insight({ query }),
    );
    show(insight, input, context);
    return 0;
  }
  const fleet = await context.connect(input.connection);
  try {
    const { insight, missing } = await insightOfAgents(fleet, { sinceMs, untilMs });
    show(insight, input, context);
    const lacks = incomplete('the summary of migrations', missing);
    return lacks === undefined ? 0 : sayIncomplete(context, lacks);
  } finally {
    fleet.close();
  }
};

function show(insight: Insight, { flags, json }: Input<typeof statsSpec>, context: Context): void {
  if (json) return printJson(context, insight);
  const look = listLook(context, {});
  const scores = [...insight.predictions, ...(insight.diskPredictions ?? [])];
  context.out.write(
    flags.prediction === true ? scoresText(scores, look) : statsText(insight, look),
  );
  if (insight.isPart) context.out.write(`of the newest ${insight.count}\n`);
}

function statsText(insight: Insight, look: Look): string {
  const { count, outcomes, saved, failures } = insight;
  if (count === 0) return 'no migrations\n';
  const rows = (['totalMs', 'downtimeMs', 'clientGapMs', 'bytes'] as const).flatMap((name) => {
    const spread = insight[name];
    const format = name === 'bytes' ? formatBytes : formatDuration;
    return spread === undefined ? [] : [[FIGURE_NAMES[name], ...spreadRow(spread, format)]];
  });
  const counts = outcomes.map((each) => `${each.count} ${each.outcome}`).join(', ');
  return [
    `${count} migrations: ${counts}\n`,
    rows.length === 0 ? '' : renderTable(['', ...SPREAD], rows, look),
    ...saved.map(({ kind, bytes }) => `not sent: ${formatBytes(bytes)} of ${kind}\n`),
    ...failures.map(({ code, count: often, newest }) => `${code}: ${often}, last in ${newest}\n`),
  ].join('');
}
