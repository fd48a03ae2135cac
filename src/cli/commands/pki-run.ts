import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import path from 'node:path';
import { initCa, issue, storeCredentials } from '../../agent/pki/authority.ts';
import { join } from '../../agent/pki/join.ts';
import { renewPerson } from '../../agent/pki/renew-person.ts';
import { makeToken } from '../../agent/pki/token.ts';
import { godwitError } from '../../errors.ts';
import { address, hostName } from '../../protocol/names.ts';
import { namedAgent } from '../connect.ts';
import { printJson } from '../context.ts';
import type { Context } from '../context.ts';
import type { Input, Run } from '../verb.ts';
import type { pkiInitSpec, pkiIssueSpec, pkiJoinSpec, pkiRenewSpec } from './pki.ts';

export const init: Run<typeof pkiInitSpec> = async (input, context) => {
  const directory = path.resolve(input.flags.dir ?? '');
  const { fingerprint } = await initCa(directory, context.clock.wallMs());
  if (input.json) printJson(context, { dir: directory, fingerprint });
  else {
    context.out.write(
      `The CA is in ${directory}; its fingerprint is ${fingerprint}.\n` +
        `Next: godwit pki issue NAME --dir ${directory}\n`,
    );
  }
};

export const issueOne: Run<typeof pkiIssueSpec> = async (input, context) => {
  const name = hostName.safeParse(input.args.name);
  if (!name.success) throw usage(`${input.args.name.slice(0, 80)} is not a name: use a-z, 0-9, -`);
  const { days } = input.flags;
  if (days !== undefined && (days < 1 || days > 3650)) throw usage('--days is from 1 to 3650');
  if (input.flags.join === true) printToken(input, context);
  else await writeFiles(input, context);
};

export const joinHere: Run<typeof pkiJoinSpec> = async (input, context) => {
  const directory = path.resolve(input.flags.out ?? '');
  const { name, fingerprint } = await join(input.args.token, directory);
  if (input.json) printJson(context, { name, directory, fingerprint });
  else {
    context.out.write(
      `This host is ${name}; its key and certificate are in ${directory}.\n` +
        `Next: godwit agent --config FILE, with "name": "${name}" and "pkiDir": "${directory}"\n`,
    );
  }
};

export const renew: Run<typeof pkiRenewSpec> = async (input, context) => {
  const { at, dir = context.env['GODWIT_PROFILE'] } = input.flags;
  if (at === undefined) throw renewUsage('--at is missing: the agent that holds the CA');
  if (dir === undefined) throw renewUsage('--dir is missing, and GODWIT_PROFILE is not set');
  const directory = path.resolve(dir);
  const renewed = await renewPerson(directory, namedAgent(at));
  if (input.json) {
    printJson(context, { ...renewed, directory });
    return;
  }
  const { name, role, validUntil } = renewed;
  const what = renewed.renewed
    ? 'is new, and'
    : 'is kept, since less than half of its life is over, and';
  context.out.write(
    `The certificate of ${name} (${role}) in ${directory} ${what} is valid until ${validUntil}.\n`,
  );
};

function renewUsage(what: string): Error {
  return godwitError('GODWIT_USAGE', { what }, { hint: 'See `godwit pki renew --help`.' });
}

type IssueInput = Input<typeof pkiIssueSpec>;

async function writeFiles(input: IssueInput, context: Context): Promise<void> {
  const { name } = input.args;
  const { role = 'agent', days } = input.flags;
  const directory = path.resolve(input.flags.out ?? name);
  const stem = role === 'agent' ? 'host' : role;
  if (existsSync(path.join(directory, `${stem}.key`))) {
    const hint = 'Name another directory with --out, or remove the old files first.';
    throw godwitError('GODWIT_PKI', { what: `${directory} holds a ${stem}.key already` }, { hint });
  }
  const caDir = path.resolve(input.flags.dir ?? '');
  const addresses = addressesOf(input);
  const life = days === undefined ? {} : { days };
  const asked = { caDir, name, role, addresses, ...life };
  storeCredentials(directory, await issue(asked, context.clock.wallMs()), stem);
  const secret = role === 'agent' ? ['site.secret'] : [];
  const files = ['ca.crt', `${stem}.crt`, `${stem}.key`, ...secret];
  if (input.json) printJson(context, { name, role, directory, files });
  else {
    const where =
      role === 'agent'
        ? `Next: bring the directory to ${name}, as its agent's \`pkiDir\`.`
        : `Next: godwit hosts --agent https://NAME@HOST:PORT --profile ${directory}`;
    context.out.write(`${files.join(', ')} are in ${directory}.\n${where}\n`);
  }
}

function printToken(input: IssueInput, context: Context): void {
  const { name } = input.args;
  const { role = 'agent', days, valid = 0, at } = input.flags;
  if (at === undefined || !address.safeParse(at).success) {
    throw usage('--join needs --at HOST:PORT, the address of the agent that holds the CA');
  }
  const nowMs = context.clock.wallMs();
  const caDir = path.resolve(input.flags.dir ?? '');
  const addresses = addressesOf(input);
  const life = days === undefined ? {} : { days };
  const asked = { caDir, name, role, addresses, ...life, agent: at, validMs: valid };
  const token = makeToken(asked, nowMs);
  const expiresAt = new Date(nowMs + valid).toISOString();
  if (role === 'agent' && addresses.length === 0) {
    context.err.write(
      `Without --addresses ${name} is not on the fleet’s list: name it under \`peers\` on every host, ` +
        'or issue the token again with --addresses IP.\n',
    );
  }
  if (input.json) printJson(context, { name, role, token, expiresAt });
  else context.out.write(`On ${name}, before ${expiresAt}:\n\ngodwit pki join '${token}'\n`);
}

function addressesOf(input: IssueInput): string[] {
  const given = (input.flags.addresses ?? '').split(',').filter((each) => each !== '');
  for (const each of given) {
    if (isIP(each) === 0 && !/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(each)) {
      throw usage(`${each.slice(0, 80)} is neither an IP address nor a DNS name`);
    }
  }
  return given;
}

function usage(what: string): Error {
  return godwitError('GODWIT_USAGE', { what }, { hint: 'See `godwit pki issue --help`.' });
}
