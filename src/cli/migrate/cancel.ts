import { ERRORS, godwitError } from '../../errors.ts';
import { isEnd, type MigrationSummary } from '../../protocol/public/migration.ts';
import { printJson, type Context } from '../context.ts';
import { findDiskMove } from './disk-moves.ts';
import { findMigration } from './fleet-migrations.ts';
import { targetKind, mustBeUnderWay } from './target.ts';
import type { AgentSet } from '../connection/agent-set.ts';
import { printable } from '../../words/style.ts';
import type { cancelSpec } from './specs.ts';
import type { Input, Run } from '../verb.ts';
import { atController, mustConfirm } from '../fleet/at-controller.ts';
import { cancelRequest } from '../fleet/request-follow.ts';

export const run: Run<typeof cancelSpec> = async (input, context) => {
  const { args, flags, json, connection } = input;
  const { target } = args;
  const kind = targetKind(target);
  const rollBack = flags.rollBack === true;
  if (kind === 'request')
    return atController(connection, context, (api) =>
      cancelRequest(api, { id: target, rollBack, json }, context),
    );
  if (rollBack) {
    const what = '--roll-back is for a request: a migration is always rolled back';
    throw godwitError('GODWIT_USAGE', { what });
  }
  const fleet = await context.connect(connection);
  try {
    if (kind !== 'disk') return await cancelMigration(fleet, input, context);
    const { api } = await findDiskMove(fleet, target);
    return printAnswer(
      context,
      input,
      target,
      await api.cancelDiskMove({ params: { id: target } }),
    );
  } finally {
    fleet.close();
  }
};

async function cancelMigration(
  fleet: AgentSet,
  input: Input<typeof cancelSpec>,
  context: Context,
): Promise<number> {
  const { summary, endpoint } = await findMigration(
    fleet,
    await mustBeUnderWay(fleet, input.args.target),
  );
  const { id } = summary;
  const request = await confirmed(summary, input.flags.yes === true, context);
  const query = request === undefined ? {} : { request };
  return printAnswer(context, input, id, await endpoint.api.cancel({ params: { id }, query }));
}

function printAnswer(
  context: Context,
  { json }: Input<typeof cancelSpec>,
  id: string,
  answer: { readonly accepted: boolean; readonly what: string },
): number {
  if (json) printJson(context, { id, ...answer });
  else context.out.write(`${id}: ${printable(answer.what)}\n`);
  return answer.accepted ? 0 : ERRORS.GODWIT_CANCEL_TOO_LATE.exit;
}

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
