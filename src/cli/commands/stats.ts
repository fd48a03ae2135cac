import type { Insight } from '../../protocol/controller/history.ts';
import { formatBytes, formatDuration } from '../../protocol/quantity.ts';
import { printJson } from '../context.ts';
import { SPREAD, spreadRow } from '../history.ts';
import { listLook } from '../lists.ts';
import { FIGURE_NAMES } from '../../protocol/controller/figure-names.ts';
import { scoresText } from '../render/prediction-scores.ts';
import { renderTable } from '../render/table.ts';
import type { Look } from '../render/table.ts';
import type { statsSpec } from '../specs-fleet.ts';
import type { Run } from '../verb.ts';
import { atController } from '../wishes.ts';

const MONTH_MS = 30 * 86_400_000;

export const run: Run<typeof statsSpec> = (input, context) =>
  atController(input.flags.controller, input.connection, context, async (api) => {
    const { since = MONTH_MS, prediction } = input.flags;
    const sinceMs = Math.max(0, context.clock.wallMs() - since);
    const answer = await api.insight({ query: { since: new Date(sinceMs).toISOString() } });
    if (input.json) return printJson(context, answer);
    const look = listLook(context, {});
    const text =
      prediction === true ? scoresText(answer.predictions, look) : statsText(answer, look);
    context.out.write(text);
    if (answer.isPart) context.out.write(`of the newest ${answer.count}\n`);
  });

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
