import { isEnd, type MigrationSummary } from '../../protocol/public/migration.ts';
import type { Context } from '../context.ts';
import { findDiskMove, followDiskMove, isDiskMove } from './disk-moves.ts';
import { exitOf, finalReport, printEnding } from './ending.ts';
import { findMigration, newestMigration, type FoundMigration } from './fleet-migrations.ts';
import type { AgentSet } from '../connection/agent-set.ts';
import { exitOfSignal, leftWords } from '../interrupts.ts';
import { follow } from './follow.ts';
import { phaseWords } from '../../words/progress.ts';
import { printable } from '../../words/style.ts';
import type { watchSpec } from './specs.ts';
import type { Run } from '../verb.ts';

export const run: Run<typeof watchSpec> = async (input, context) => {
  const fleet = await context.connect(input.connection);
  try {
    const { id } = input.args;
    if (id !== undefined && isDiskMove(id)) {
      const endpoint = await findDiskMove(fleet, id);
      const show = input.json ? 'ndjson' : 'people';
      return await followDiskMove(context, { endpoint, id, show, mayCancel: false });
    }
    const isUnderWay = ({ phase }: MigrationSummary): boolean => !isEnd(phase);
    const wanted = id ?? (await newestMigration(fleet, isUnderWay))?.id;
    if (wanted === undefined) return await sayNone(context, fleet, input.json);
    return await watch(context, await findMigration(fleet, wanted), input.json);
  } finally {
    fleet.close();
  }
};

/** Not an error: a person who types slowly is told that it is over, and a script goes on. */
async function sayNone(context: Context, fleet: AgentSet, json: boolean): Promise<number> {
  const last = await newestMigration(fleet);
  const words =
    last === undefined
      ? ''
      : `; the newest is over: ${last.guest} from ${last.from} to ${last.to}, ${phaseWords(last.phase)} (${last.id})`;
  const { out, err } = context;
  (json ? err : out).write(printable(`no migration is under way${words}\n`));
  return 0;
}

async function watch(
  context: Context,
  { summary, endpoint }: FoundMigration,
  json: boolean,
): Promise<number> {
  const { id } = summary;
  const last = await follow(context, { endpoint, id, show: json ? 'ndjson' : 'people' });
  if ('left' in last) {
    context.err.write(leftWords('migration', id, false));
    return exitOfSignal(last.left);
  }
  const report = await finalReport(context, endpoint, id);
  return json ? exitOf(report) : printEnding(context, report, false);
}
