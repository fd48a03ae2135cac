import { godwitError } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import type { Context } from '../context.ts';
import type { rollSpec } from './specs.ts';
import type { Input, Run } from '../verb.ts';
import { askForRequest, cancelRequest, hostsIn } from './request-follow.ts';
import { momentOf } from '../migrate/deadline.ts';
import { atController, openRequest } from './at-controller.ts';

type RollInput = Input<typeof rollSpec>;

export const run: Run<typeof rollSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { flags, json } = input;
    const hosts = hostsIn(flags.hosts, '--hosts');
    if (flags.cancel === true) {
      const { id } = await openRequest(api, 'roll', hosts ?? []);
      return cancelRequest(api, { id, rollBack: flags.rollBack === true, json }, context);
    }
    const body = bodyOf(input, hosts, context);
    const asked = {
      body,
      question: `Drain ${body.hosts.join(', ')} one after the other, and run ${body.run} for each?`,
      json,
      dryRun: flags.dryRun === true,
      yes: flags.yes === true,
      detach: flags.detach === true,
    };
    return askForRequest(api, asked, context);
  });

function bodyOf({ flags }: RollInput, hosts: string[] | undefined, { clock }: Context) {
  const { run: program, lastStart, maxParallel, healthyWithin } = flags;
  if (hosts === undefined || program === undefined) {
    throw godwitError('GODWIT_USAGE', { what: 'a roll needs --hosts and --run' });
  }
  const to = hostsIn(flags.to, '--to');
  return {
    kind: 'roll' as const,
    hosts,
    run: program,
    ...defined({ to }),
    ...(lastStart === undefined
      ? {}
      : { deadlineAtMs: momentOf('--last-start', lastStart, clock.wallMs()) }),
    ...defined({ maxParallel, healthyWithinMs: healthyWithin }),
    ...(flags.comeBack === true ? { comeBack: true } : {}),
  };
}
