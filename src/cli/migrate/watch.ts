import type { Context } from '../context.ts';
import { findDiskMove, followDiskMove } from './disk-moves.ts';
import { exitOf, finalReport, printEnding } from './ending.ts';
import { findMigration, newestMigration, type FoundMigration } from './fleet-migrations.ts';
import { isUnderWay, targetKind, noneUnderWay, underWayId } from './target.ts';
import { exitOfSignal, leftWords } from '../interrupts.ts';
import { follow } from './follow.ts';
import type { watchSpec } from './specs.ts';
import type { Run } from '../verb.ts';
import { atController } from '../fleet/at-controller.ts';
import { followRequest } from '../fleet/request-follow.ts';

export const run: Run<typeof watchSpec> = async (input, context) => {
  const { connection, json } = input;
  const { target } = input.args;
  const kind = target === undefined ? undefined : targetKind(target);
  if (target !== undefined && kind === 'request')
    return atController(connection, context, (api) =>
      followRequest(api, target, { json, context }),
    );
  const fleet = await context.connect(connection);
  try {
    if (target !== undefined && kind === 'disk') {
      const endpoint = await findDiskMove(fleet, target);
      const show = json ? 'ndjson' : 'people';
      return await followDiskMove(context, { endpoint, id: target, show, mayCancel: false });
    }
    const wanted =
      target === undefined
        ? (await newestMigration(fleet, isUnderWay))?.id
        : await underWayId(fleet, target);
    if (wanted !== undefined) return await watch(context, await findMigration(fleet, wanted), json);
    (json ? context.err : context.out).write(`${await noneUnderWay(fleet, target)}\n`);
    return 0;
  } finally {
    fleet.close();
  }
};

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
