import path from 'node:path';
import { makeToken } from '../../pki/token.ts';
import { loadAgentConfig } from '../../config.ts';
import { godwitError } from '../../errors.ts';
import { hostName } from '../../protocol/names.ts';
import { printJson } from '../context.ts';
import { listedAddresses } from './addresses.ts';
import type { inviteSpec } from './specs.ts';
import type { Run } from '../verb.ts';

export const run: Run<typeof inviteSpec> = async (input, context) => {
  const { flags, args } = input;
  const name = hostName.safeParse(args.name);
  if (!name.success) throw usage(`${args.name.slice(0, 80)} is not a name: use a-z, 0-9, -`);
  const { days, valid = 0 } = flags;
  if (days !== undefined && (days < 1 || days > 3650)) throw usage('--days is from 1 to 3650');
  const addresses = listedAddresses(flags.addresses, usage);
  if (addresses.length === 0)
    throw usage('--addresses is missing: how other hosts reach the new one');
  const file = path.resolve(flags.config ?? '');
  const { caDir, address: agent } = loadAgentConfig(file);
  if (caDir === undefined) {
    const hint = 'Run this on the host that holds the CA: the one with `caDir`.';
    throw godwitError('GODWIT_CONFIG', { file, what: 'has no `caDir`' }, { hint });
  }
  const nowMs = context.clock.wallMs();
  const life = days === undefined ? {} : { days };
  const role = flags.controller === true ? 'controller' : 'agent';
  const asked = { caDir, name: name.data, role, addresses, ...life } as const;
  const token = makeToken({ ...asked, agent, validMs: valid }, nowMs);
  const expiresAt = new Date(nowMs + valid).toISOString();
  if (input.json) printJson(context, { name: name.data, token, expiresAt });
  // The token is not part of the command, because every user can read command lines.
  else {
    const command = role === 'controller' ? 'godwit init --controller' : 'godwit join';
    context.out.write(
      `On ${name.data}, before ${expiresAt}:\n\n${command}\n\nIt asks for this token, which works once:\n\n${token}\n`,
    );
  }
};

function usage(what: string): Error {
  return godwitError('GODWIT_USAGE', { what }, { hint: 'See `godwit invite --help`.' });
}
