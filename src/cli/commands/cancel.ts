import { ERRORS } from '../../errors.ts';
import { printJson } from '../context.ts';
import { findDiskMove, isDiskMove } from '../disk-moves.ts';
import { findMigration } from '../fleet-migrations.ts';
import { printable } from '../render/style.ts';
import type { cancelSpec } from '../specs.ts';
import type { Run } from '../verb.ts';

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
    const answer = await endpoint.api.cancel({ params: { id: summary.id } });
    if (input.json) printJson(context, { id: summary.id, ...answer });
    else context.out.write(`${summary.id}: ${printable(answer.what)}\n`);
    return answer.accepted ? 0 : ERRORS.GODWIT_CANCEL_TOO_LATE.exit;
  } finally {
    fleet.close();
  }
};
