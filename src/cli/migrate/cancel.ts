import { ERRORS, godwitError } from '../../errors.ts';
import { isEnd, type MigrationSummary } from '../../protocol/public/migration.ts';
import { printJson, type Context } from '../context.ts';
import { findDiskMove, isDiskMove } from './disk-moves.ts';
import { findMigration } from './fleet-migrations.ts';
import { printable } from '../../words/style.ts';
import type { cancelSpec } from './specs.ts';
import type { Run } from '../verb.ts';
import { mustConfirm } from '../fleet/at-controller.ts';

export const run: Run<typeof cancelSpec> = async (input, context) => {
  const fleet = await context.connect(input.connection);
  try {
    const { id } = input.args;
    if (isDiskMove(id)) {
      const { api } = await findDiskMove(fleet, id);
      const answer = await api.cancelDiskMove({ params: { id } });
      if (input.json) printJson(context, { id, ...answer });
      else context.out.write(`${id}: ${printable(answer.what)}\n`);
      return answer.accepted ? 0 : ERRORS.GODWIT_CANCEL_TOO_LATE.exit;
    }
    const { summary, endpoint } = await findMigration(fleet, id);
    const request = await confirmed(summary, input.flags.yes === true, context);
    const query = request === undefined ? {} : { request };
    const answer = await endpoint.api.cancel({ params: { id: summary.id }, query });
    if (input.json) printJson(context, { id: summary.id, ...answer });
    else context.out.write(`${summary.id}: ${printable(answer.what)}\n`);
    return answer.accepted ? 0 : ERRORS.GODWIT_CANCEL_TOO_LATE.exit;
  } finally {
    fleet.close();
  }
};

/** The request that the migration is a move of, once the person has confirmed that the guest leaves it. */
async function confirmed(
  { id, guest, phase, request }: MigrationSummary,
  yes: boolean,
  context: Context,
): Promise<string | undefined> {
  if (request === undefined || isEnd(phase)) return undefined;
  if (yes) return request;
  if (context.readLine === undefined) {
    const facts = { id, request, guest };
    throw godwitError('GODWIT_MIGRATION_OF_REQUEST', facts, { hint: 'Give --yes to confirm it.' });
  }
  const what = `${id} is a move of the request ${request}, which then does not move ${guest} again.`;
  await mustConfirm(`${what} Cancel it?`, context);
  return request;
}
