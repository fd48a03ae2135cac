import type { recoverSpec } from '../specs-recover.ts';
import type { Run } from '../verb.ts';
import { askForWish, cancelWish, hostsIn } from '../wish-follow.ts';
import { atController, openWish } from '../wishes.ts';

export const run: Run<typeof recoverSpec> = (input, context) =>
  atController(input.flags.controller, input.connection, context, async (api) => {
    const { flags, json, args } = input;
    const { hosts } = args;
    if (flags.cancel === true) {
      const { id } = await openWish(api, 'recover', hosts);
      return cancelWish(api, { id, rollBack: false, json }, context);
    }
    const to = hostsIn(flags.to, '--to');
    const body = { kind: 'recover' as const, hosts: [...hosts] };
    const asked = {
      body: { ...body, ...(to === undefined ? {} : { to }) },
      question: `Start the guests of ${hosts.join(', ')} elsewhere, once proved off?`,
      json,
      dryRun: flags.dryRun === true,
      yes: flags.yes === true,
      detach: flags.detach === true,
    };
    return askForWish(api, asked, context);
  });
