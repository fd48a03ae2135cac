import { godwitError } from '../../errors.ts';
import { isEnd } from '../../protocol/public/migration.ts';
import type { Context } from '../context.ts';
import { findDiskMove, followDiskMove, isDiskMove } from '../disk-moves.ts';
import { exitOf, finalReport, printEnding } from '../ending.ts';
import { findMigration, listMigrations } from '../fleet-migrations.ts';
import { incomplete } from '../agent-set.ts';
import type { AgentSet } from '../agent-set.ts';
import type { FoundMigration } from '../fleet-migrations.ts';
import { exitOfSignal, leftWords } from '../interrupts.ts';
import { follow } from '../follow.ts';
import type { watchSpec } from '../specs.ts';
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
    const found = id === undefined ? await newestRunning(fleet) : await findMigration(fleet, id);
    return await watch(context, found, input.json);
  } finally {
    fleet.close();
  }
};

async function newestRunning(fleet: AgentSet): Promise<FoundMigration> {
  const { items, missing } = await listMigrations(fleet, 1000);
  const running = items.find(({ phase }) => !isEnd(phase));
  if (running !== undefined) return findMigration(fleet, running.id);
  const lacks = incomplete('the search for a migration under way', missing);
  throw (
    lacks ??
    godwitError(
      'GODWIT_USAGE',
      { what: 'no migration is under way' },
      { hint: '`godwit migrations` lists those that have ended; `godwit report ID` shows one.' },
    )
  );
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
