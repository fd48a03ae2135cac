import { godwitError } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import { guestName } from '../../protocol/names.ts';
import { descriptionNumber } from '../../protocol/public/recovery.ts';
import type { recoverSpec } from './specs.ts';
import type { Run } from '../verb.ts';
import { askForRequest, cancelRequest, hostsIn } from './request-follow.ts';
import { atController, openRequest } from './at-controller.ts';

export const run: Run<typeof recoverSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { flags, json, args } = input;
    const { hosts } = args;
    if (flags.cancel === true) {
      const { id } = await openRequest(api, 'recover', hosts);
      return cancelRequest(api, { id, rollBack: false, json }, context);
    }
    const to = hostsIn(flags.to, '--to');
    const insist = insistedIn(flags.insist);
    const body = {
      kind: 'recover' as const,
      hosts: [...hosts],
      ...defined({ insist }),
    };
    const asked = {
      body: { ...body, ...defined({ to }) },
      question: `Start the guests of ${hosts.join(', ')} elsewhere, once proved off?`,
      json,
      dryRun: flags.dryRun === true,
      yes: flags.yes === true,
      detach: flags.detach === true,
    };
    return askForRequest(api, asked, context);
  });

/** `web1=0f3c9a5e21b7d846,db1=…`; undefined without the flag. GODWIT_USAGE for anything else. */
function insistedIn(text: string | undefined): { guest: string; number: string }[] | undefined {
  return text?.split(',').map((each) => {
    const [guest = '', number = '', ...rest] = each.trim().split('=');
    const isNumber = descriptionNumber.safeParse(number).success;
    if (guestName.safeParse(guest).success && isNumber && rest.length === 0)
      return { guest, number };
    const what = `--insist takes GUEST=NUMBER, and not "${each.trim().slice(0, 128)}"`;
    throw godwitError('GODWIT_USAGE', { what });
  });
}
