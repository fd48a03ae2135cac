import { godwitError } from '../../errors.ts';
import { printJson } from '../context.ts';
import { listLook } from '../lists.ts';
import { printView } from '../render/paint.ts';
import { proposalTable, proposalText } from './policies.ts';
import type { proposalsSpec } from './policy-specs.ts';
import type { Run } from '../verb.ts';
import { atController } from './at-controller.ts';

export const run: Run<typeof proposalsSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { flags, json } = input;
    const { accept, reject, snooze, state = 'open' } = flags;
    const asked = [accept === true, reject !== undefined, snooze !== undefined].filter(
      Boolean,
    ).length;
    const { id } = input.args;
    if (id === undefined) {
      if (asked > 0) throw godwitError('GODWIT_USAGE', { what: 'no proposal is named' });
      const answer = await api.proposals({ query: { state } });
      if (json) return printJson(context, answer);
      const look = listLook(context, {});
      const isNone = answer.proposals.length === 0;
      context.out.write(
        isNone ? `no proposals that are ${state}\n` : proposalTable(answer.proposals, look),
      );
      return;
    }
    if (asked > 1) {
      throw godwitError('GODWIT_USAGE', { what: 'a proposal is accepted, rejected or put off' });
    }
    const params = { id };
    if (accept === true) {
      const done = await api.acceptProposal({ params });
      if (json) return printJson(context, done);
      context.out.write(
        `${done.accepted.join(', ')}: accepted; requests: ${done.requests.join(', ')}\n`,
      );
      return;
    }
    const proposal =
      reject !== undefined
        ? await api.rejectProposal({ params, body: { reason: reject } })
        : snooze !== undefined
          ? await api.snoozeProposal({ params, body: { forMs: snooze } })
          : await api.proposal({ params });
    if (json) return printJson(context, proposal);
    printView(context, proposalText(proposal));
  });
