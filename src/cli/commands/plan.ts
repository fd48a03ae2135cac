import { ERRORS } from '../../errors.ts';
import { fromSerial } from '../../protocol/errors.ts';
import { printJson } from '../context.ts';
import { printError } from '../failure.ts';
import { askAtHome } from '../home.ts';
import { mustHaveTo, requestOf, withNearestHost } from '../migration-request.ts';
import { checkText } from '../render/checks.ts';
import { printView, tableLook } from '../render/paint.ts';
import { planText } from '../render/plan.ts';
import type { planSpec } from '../specs-plan.ts';
import type { Run } from '../verb.ts';

/** The agent itself gives up a little earlier, ms. */
const ANSWER_MS = 120_000;

/** Prints the plan. Returns 0 where the guest can move, else the code of the first refusal. */
export const run: Run<typeof planSpec> = async (input, context) => {
  const to = mustHaveTo('plan', input.flags.to);
  const fleet = await context.connect(input.connection);
  try {
    const request = requestOf('plan', input, to);
    const body = { ...request, ...(input.flags.compare === true ? { compare: true } : {}) };
    const answer = await askAtHome(fleet, request.guest, ({ api }) =>
      withNearestHost(fleet, to, () => api.plan({ body }, { deadlineMs: ANSWER_MS })),
    );
    const { host } = answer;
    const refusal = host.checks.find(({ verdict }) => verdict === 'refuse');
    const look = tableLook(context);
    if (input.json) printJson(context, answer);
    else if (refusal !== undefined)
      printView(context, checkText({ ...answer, hosts: [host] }, host, look.paint));
    else printView(context, planText(answer, look));
    if (refusal === undefined) return 0;
    if (refusal.error === undefined) return ERRORS.GODWIT_STEP_FAILED.exit;
    printError(context, fromSerial(refusal.error));
    return ERRORS[refusal.error.code].exit;
  } finally {
    fleet.close();
  }
};
