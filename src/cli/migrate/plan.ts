import { ERRORS } from '../../errors.ts';
import { fromSerial } from '../../protocol/errors.ts';
import type { PlanAnswer } from '../../protocol/public/plan.ts';
import { printJson, type Context } from '../context.ts';
import { printError } from '../failure.ts';
import { askAtHome } from '../guests/home.ts';
import { mustHaveTo, requestOf, withNearestHost } from './migration-request.ts';
import { checkText } from '../../words/checks.ts';
import { printView, tableLook } from '../render/paint.ts';
import { planText } from '../../words/plan.ts';
import type { migrateSpec } from './specs.ts';
import type { planSpec } from './specs.ts';
import type { Input, Run } from '../verb.ts';

/** The agent itself gives up a little earlier, ms. */
const ANSWER_MS = 120_000;

/** Prints the plan. Returns 0 where the guest can move, else the code of the first refusal. */
export const run: Run<typeof planSpec> = async (input, context) => {
  const compare = input.flags.compare === true;
  return printPlan(context, await planned('plan', input, context, compare), input.json, planText);
};

/** What an agent answers to the plan of a migration. */
export async function planned(
  verb: 'plan' | 'migrate',
  input: Input<typeof planSpec> | Input<typeof migrateSpec>,
  context: Context,
  compare: boolean,
): Promise<PlanAnswer> {
  const to = mustHaveTo(verb, input.flags.to);
  const fleet = await context.connect(input.connection);
  try {
    const request = requestOf(verb, input, to);
    const body = { ...request, ...(compare ? { compare } : {}) };
    return await askAtHome(fleet, request.guest, ({ api }) =>
      withNearestHost(fleet, to, () => api.plan({ body }, { deadlineMs: ANSWER_MS })),
    );
  } finally {
    fleet.close();
  }
}

/** As `text` has it; the checks, and why, where one refuses. */
export function printPlan(
  context: Context,
  answer: PlanAnswer,
  json: boolean,
  text: typeof planText,
): number {
  const { host } = answer;
  const refusal = host.checks.find(({ verdict }) => verdict === 'refuse');
  const look = tableLook(context);
  if (json) printJson(context, answer);
  else if (refusal !== undefined)
    printView(context, checkText({ ...answer, hosts: [host] }, host, look.paint));
  else printView(context, text(answer, look));
  if (refusal === undefined) return 0;
  if (refusal.error === undefined) return ERRORS.GODWIT_STEP_FAILED.exit;
  printError(context, fromSerial(refusal.error));
  return ERRORS[refusal.error.code].exit;
}
