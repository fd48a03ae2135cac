import { ERRORS, godwitError } from '../../errors.ts';
import { printJson } from '../context.ts';
import { collectFacts } from '../doctor/collect.ts';
import { diagnoseManager } from '../../agent/host/managers.ts';
import { judge, worst } from '../doctor/judge.ts';
import { OWN_PLACES } from '../connection/own-agent.ts';
import { contextPainter, printView } from '../render/paint.ts';
import { doctorText } from '../render/findings.ts';
import type { doctorSpec } from './specs.ts';
import type { Run } from '../verb.ts';

export const run: Run<typeof doctorSpec> = async (input, context) => {
  const { leftovers: wanted, clear } = input.flags;
  if (clear === true && wanted !== true) {
    const what = '--clear goes with --leftovers';
    throw godwitError('GODWIT_USAGE', { what }, { hint: 'See `godwit doctor --help`.' });
  }
  if (wanted === true && input.flags.driver !== undefined) {
    const what = '--driver does not go with --leftovers';
    throw godwitError('GODWIT_USAGE', { what }, { hint: 'See `godwit doctor --help`.' });
  }
  if (wanted === true) {
    const { leftovers } = await import('../doctor/leftovers.ts');
    return leftovers(context, input.connection, clear === true, input.json);
  }
  const { driver, config } = input.flags;
  const findings =
    driver === undefined
      ? judge(await collectFacts(context, input.connection, config))
      : await diagnoseManager(driver, config ?? OWN_PLACES.config);
  const verdict = worst(findings);
  if (input.json) printJson(context, { verdict, checks: findings });
  else printView(context, doctorText(findings, contextPainter(context)));
  return verdict === 'fail' ? ERRORS.GODWIT_HOST_LACKS.exit : 0;
};
