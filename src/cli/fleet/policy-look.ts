import { hasCode, toGodwitError } from '../../errors.ts';
import type { policyRoutes } from '../../protocol/controller/policies.ts';
import type { PolicyKind } from '../../protocol/controller/policy.ts';
import type { RouteAnswer } from '../../protocol/route.ts';
import { printJson, type Context } from '../context.ts';
import { listLook } from '../lists.ts';
import { proposalTable } from './policies.ts';
import { printable } from '../../words/style.ts';
import type { balanceSpec } from './policy-specs.ts';
import type { Input } from '../verb.ts';
import { atController, mustConfirm } from './at-controller.ts';

export function lookAndAccept(
  kind: PolicyKind,
  { flags, connection, json }: Pick<Input<typeof balanceSpec>, 'flags' | 'connection' | 'json'>,
  context: Context,
): Promise<void> {
  return atController(connection, context, async (api) => {
    const isDry = flags.dryRun === true;
    const params = { kind, scope: flags.group ?? 'fleet' };
    const query = { dryRun: isDry ? ('true' as const) : ('false' as const) };
    const looked = await api.runPolicy({ params, query });
    const { proposals, words, refusals } = looked;
    const open = proposals.filter(({ state }) => state === 'open');
    if (!json) {
      if (open.length > 0) context.out.write(proposalTable(open, listLook(context, {})));
      context.out.write(`${printable(words)}\n`);
      context.out.write(refusals.map((each) => `not possible: ${printable(each)}\n`).join(''));
    }
    if (isDry || open.length === 0) {
      if (json) printJson(context, looked);
      return;
    }
    if (flags.yes !== true) {
      await mustConfirm(`Accept ${open.length === 1 ? 'it' : `all ${open.length}`}?`, context);
    }
    const { accepted, requests, refused } = await acceptEach(
      open.map(({ id }) => id),
      (id) => api.acceptProposal({ params: { id } }),
    );
    if (json) printJson(context, { accepted, requests });
    else context.out.write(askedWords(requests));
    const [first, ...others] = refused;
    if (first === undefined) return;
    for (const { id, error } of others)
      context.err.write(`${id} is not accepted: ${printable(toGodwitError(error).message)}\n`);
    throw first.error;
  });
}

type AcceptAnswer = RouteAnswer<typeof policyRoutes.acceptProposal>;

/** Errors of a single proposal; the others can still be accepted. */
const OF_ONE = ['GODWIT_REQUEST_OPEN', 'GODWIT_PROPOSAL_UNKNOWN'] as const;

/** Accepts one after the other. The refusal of one does not stop the rest; any other error does. */
export async function acceptEach(
  ids: readonly string[],
  accept: (id: string) => Promise<AcceptAnswer>,
): Promise<AcceptAnswer & { readonly refused: readonly { id: string; error: unknown }[] }> {
  const accepted: string[] = [];
  const requests: string[] = [];
  const refused: { id: string; error: unknown }[] = [];
  for (const id of ids) {
    try {
      const done = await accept(id);
      accepted.push(...done.accepted);
      requests.push(...done.requests);
    } catch (error) {
      // In approve mode the first one accepts all, and another person may decide one meanwhile.
      if (hasCode(error, 'GODWIT_PROPOSAL_CLOSED')) continue;
      refused.push({ id, error });
      if (!hasCode(error, ...OF_ONE)) break;
    }
  }
  return { accepted, requests, refused };
}

const askedWords = (requests: readonly string[]): string =>
  requests.length === 0
    ? 'nothing was asked for\n'
    : `asked for; follow them with \`godwit requests\`: ${requests.join(', ')}\n`;
