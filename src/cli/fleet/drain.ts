import { defined } from '../../protocol/defined.ts';
import type { drainSpec } from './specs.ts';
import type { Context } from '../context.ts';
import type { Input, Run } from '../verb.ts';
import { askForRequest, cancelRequest, hostsIn } from './request-follow.ts';
import { momentOf } from '../migrate/deadline.ts';
import { atController, openRequest } from './at-controller.ts';

type DrainInput = Input<typeof drainSpec>;

export const run: Run<typeof drainSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { flags, json, args } = input;
    if (flags.cancel === true) {
      const { id } = await openRequest(api, 'drain', [args.host]);
      return cancelRequest(api, { id, rollBack: flags.rollBack === true, json }, context);
    }
    const asked = {
      body: bodyOf(input, context),
      question: `Drain ${args.host}?`,
      json,
      dryRun: flags.dryRun === true,
      yes: flags.yes === true,
      detach: flags.detach === true,
    };
    return askForRequest(api, asked, context);
  });

function bodyOf({ args, flags }: DrainInput, { clock }: Context) {
  const { deadline, maxParallel, notice, cold, stopped } = flags;
  const to = hostsIn(flags.to, '--to');
  return {
    kind: 'drain' as const,
    hosts: [args.host],
    ...defined({ to }),
    ...(deadline === undefined
      ? {}
      : { deadlineAtMs: momentOf('--deadline', deadline, clock.wallMs()) }),
    ...defined({ maxParallel }),
    ...(cold === true ? { cold } : {}),
    ...(stopped === true ? { stopped } : {}),
    ...(notice === undefined ? {} : { settings: { noticeMs: Math.round(notice) } }),
  };
}
