import { ERRORS } from '../../errors.ts';
import { printJson } from '../context.ts';
import { findMigration } from '../fleet.ts';
import { printable } from '../render/style.ts';
import type { cancelSpec } from '../specs.ts';
import type { Run } from '../verb.ts';

export const run: Run<typeof cancelSpec> = async (input, context) => {
  const fleet = await context.connect(input.connection);
  try {
    const { summary, endpoint } = await findMigration(fleet, input.args.id);
    const answer = await endpoint.api.cancel({ params: { id: summary.id } });
    if (input.json) printJson(context, { id: summary.id, ...answer });
    else context.out.write(`${summary.id}: ${printable(answer.what)}\n`);
    return answer.accepted ? 0 : ERRORS.GODWIT_CANCEL_TOO_LATE.exit;
  } finally {
    fleet.close();
  }
};
