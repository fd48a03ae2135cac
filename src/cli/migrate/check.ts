import { ERRORS, godwitError } from '../../errors.ts';
import { fromSerial } from '../../protocol/errors.ts';
import type { CheckAnswer } from '../../protocol/public/check.ts';
import { printJson, type Context } from '../context.ts';
import { printError } from '../failure.ts';
import { askAtHome } from '../guests/home.ts';
import { mustHaveTo, requestOf, withNearestHost } from './migration-request.ts';
import { checkedHostsText, checkText } from '../../words/checks.ts';
import { contextPainter, printView, tableLook } from '../render/paint.ts';
import type { checkSpec } from './specs.ts';
import type { Run } from '../verb.ts';

/** Every peer of the guest's host. */
const ANY = 'any';
/** The agent itself gives up a little earlier, ms. */
const ANSWER_MS = 120_000;

export const run: Run<typeof checkSpec> = async (input, context) => {
  const to = mustHaveTo('check', input.flags.to);
  const fleet = await context.connect(input.connection);
  try {
    const { to: one, ...settings } = requestOf('check', input, to);
    const body = to === ANY ? settings : { ...settings, to: one };
    const answer = await askAtHome(fleet, settings.guest, ({ api }) =>
      withNearestHost(fleet, to, () => api.check({ body }, { deadlineMs: ANSWER_MS })),
    );
    return print(context, answer, to === ANY, input.json);
  } finally {
    fleet.close();
  }
};

/** Prints what was found. Returns 0 where the guest can move to the best of the hosts, else the code of its first refusal. */
function print(context: Context, answer: CheckAnswer, isTable: boolean, json: boolean): number {
  const [best] = answer.hosts;
  if (best === undefined) {
    const hint = `Add one to \`peers\` in the configuration of ${answer.from}.`;
    throw godwitError('GODWIT_HOST_UNKNOWN', { host: 'any' }, { hint });
  }
  if (json) printJson(context, answer);
  else if (isTable) context.out.write(checkedHostsText(answer, tableLook(context)));
  else printView(context, checkText(answer, best, contextPainter(context)));
  const refusal = best.checks.find(({ verdict }) => verdict === 'refuse');
  if (refusal === undefined) return 0;
  if (refusal.error === undefined) return ERRORS.GODWIT_STEP_FAILED.exit;
  if (!isTable) printError(context, fromSerial(refusal.error));
  return ERRORS[refusal.error.code].exit;
}
