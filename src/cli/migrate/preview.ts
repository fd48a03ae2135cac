import { ERRORS, godwitError } from '../../errors.ts';
import { fromSerial } from '../../protocol/errors.ts';
import type { CheckAnswer, CheckedHost } from '../../protocol/public/check.ts';
import type { MigrationRequest } from '../../protocol/public/migration.ts';
import type { PlanAnswer } from '../../protocol/public/plan.ts';
import type { AgentSet, Endpoint } from '../connection/agent-set.ts';
import { printJson, type Context } from '../context.ts';
import { printError } from '../failure.ts';
import { askAtHome } from '../guests/home.ts';
import { ANY, mustHaveTo, requestOf, withNearestHost } from './migration-request.ts';
import { checkedHostsText, checkText } from '../../words/checks.ts';
import { printView, tableLook } from '../render/paint.ts';
import { planText } from '../../words/plan.ts';
import type { migrateSpec } from './specs.ts';
import type { Input } from '../verb.ts';

/** Longer than the agent's own deadline, ms. */
const ANSWER_MS = 120_000;

/**
 * A migration's checks and predicted cost; nothing begins. `--to any`: checks of every host that the guest's host can
 * reach. Returns 0 if the guest can move (to the best of them), else the exit code of the first refusal.
 */
export async function preview(input: Input<typeof migrateSpec>, context: Context): Promise<number> {
  const to = mustHaveTo(input.flags.to);
  const request = requestOf(input, to);
  const fleet = await context.connect(input.connection);
  try {
    if (to === ANY) return printHosts(context, await checkEach(fleet, request), input.json);
    const body = { ...request, ...(input.flags.compare === true ? { compare: true } : {}) };
    const plan = ({ api }: Endpoint): Promise<PlanAnswer> =>
      withNearestHost(fleet, to, () => api.plan({ body }, { deadlineMs: ANSWER_MS }));
    const answer = await askAtHome(fleet, request.guest, plan, to);
    return printPlan(context, answer, input);
  } finally {
    fleet.close();
  }
}

function checkEach(fleet: AgentSet, request: MigrationRequest): Promise<CheckAnswer> {
  const { to: _any, ...body } = request;
  return askAtHome(fleet, request.guest, ({ api }) =>
    api.check({ body }, { deadlineMs: ANSWER_MS }),
  );
}

function printHosts(context: Context, answer: CheckAnswer, json: boolean): number {
  const [best] = answer.hosts;
  if (best === undefined) {
    const hint = `Add one to \`peers\` in the configuration of ${answer.from}.`;
    throw godwitError('GODWIT_HOST_UNKNOWN', { host: ANY }, { hint });
  }
  if (json) printJson(context, answer);
  else context.out.write(checkedHostsText(answer, tableLook(context)));
  return exitCode(best);
}

function printPlan(
  context: Context,
  answer: PlanAnswer,
  { args: { guest }, flags, json }: Input<typeof migrateSpec>,
): number {
  const { host, prediction } = answer;
  const look = tableLook(context);
  const exit = exitCode(host);
  const by = prediction?.mode ?? flags.mode ?? 'precopy';
  const words = exit === 0 ? `would move to ${host.to} by ${by}` : 'would stay where it is';
  if (json) printJson(context, answer);
  else {
    const checks = () => checkText({ ...answer, hosts: [host] }, host, look.paint);
    printView(context, exit === 0 ? planText(answer, look) : checks());
    context.out.write(`${guest} ${words}; nothing was begun\n`);
  }
  const refusal = firstRefusal(host);
  if (refusal?.error !== undefined) printError(context, fromSerial(refusal.error));
  return exit;
}

const firstRefusal = ({ checks }: CheckedHost): CheckedHost['checks'][number] | undefined =>
  checks.find(({ verdict }) => verdict === 'refuse');

function exitCode(host: CheckedHost): number {
  const refusal = firstRefusal(host);
  if (refusal === undefined) return 0;
  return ERRORS[refusal.error?.code ?? 'GODWIT_STEP_FAILED'].exit;
}
