import { existsSync } from 'node:fs';
import path from 'node:path';
import { godwitError } from '../../errors.ts';
import { FLEET_FILE } from '../../host/fleet.ts';
import { initCa, issue, storeCredentials } from '../../pki/authority.ts';
import {
  changeList,
  withoutHost,
  withoutName,
  withoutSerial,
  type Change,
} from '../../pki/fleet-list.ts';
import { needName } from '../../pki/known-names.ts';
import { renewPerson } from '../../pki/renew-person.ts';
import { rotateSecret } from '../../pki/site-secret.ts';
import { endTokens } from '../../pki/token.ts';
import { hostName } from '../../protocol/names.ts';
import { printJson, type Context } from '../context.ts';
import { namedAgent } from '../connection/credentials.ts';
import { chosenContext } from '../connection/fleet-contexts.ts';
import { listedAddresses } from '../setup/addresses.ts';
import type { Input, Run } from '../verb.ts';
import type {
  pkiInitSpec,
  pkiIssueSpec,
  pkiRenewSpec,
  pkiRevokeSpec,
  pkiRemoveSpec,
  pkiRotateSecretSpec,
} from './pki-specs.ts';

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
  await writeFiles(input, context);
};

export const renew: Run<typeof pkiRenewSpec> = async (input, context) => {
  const { at, dir = chosenContext({}, context.env)?.certificates } = input.flags;
  if (at === undefined) throw renewUsage('--at is missing: the agent that holds the CA');
  if (dir === undefined)
    throw renewUsage('--dir is missing, and no context that has certificates is in use');
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
  const addresses = listedAddresses(input.flags.addresses, usage);
  const life = days === undefined ? {} : { days };
  const asked = { caDir, name, role, addresses, ...life };
  storeCredentials(directory, await issue(asked, context.clock.wallMs()), stem);
  const secret = role === 'agent' ? ['site.secret'] : [];
  const list = path.join(directory, FLEET_FILE);
  const fleet = isProgram(role) && existsSync(list) ? [FLEET_FILE] : [];
  const files = ['ca.crt', `${stem}.crt`, `${stem}.key`, ...secret, ...fleet];
  if (input.json) printJson(context, { name, role, directory, files });
  else {
    const where =
      role === 'agent' || isProgram(role)
        ? `Next: bring the directory to ${name}, as its ${role}'s \`pkiDir\`.`
        : `Next: godwit context set FLEET --agent https://NAME@HOST:PORT --certificates ${directory}`;
    context.out.write(`${files.join(', ')} are in ${directory}.\n${where}\n`);
  }
}

/** Not a person, and not a host. */
function isProgram(role: string): boolean {
  return role === 'controller' || role === 'relay';
}

function usage(what: string): Error {
  return godwitError('GODWIT_USAGE', { what }, { hint: 'See `godwit pki issue --help`.' });
}

/** As Godwit makes them, and as OpenSSL prints them. */
const SERIAL = /^[0-9a-fA-F]{2}(:?[0-9a-fA-F]{2}){15}$/;

export const revoke: Run<typeof pkiRevokeSpec> = async (input, context) => {
  const { what } = input.args;
  const isSerial = SERIAL.test(what);
  const change = isSerial ? withoutSerial(what.replaceAll(':', '')) : withoutName(nameOf(what));
  if (!isSerial && input.flags.unknown !== true)
    needName(path.resolve(input.flags.dir ?? ''), what);
  const number = changed(input.flags.dir, change, context);
  if (!isSerial) endTokens(path.resolve(input.flags.dir ?? ''), what);
  if (input.json) printJson(context, { revoked: what, number });
  else {
    const whose = isSerial ? 'The certificate' : `Every certificate of ${what} until now`;
    printNumber(context, `${whose} is revoked`, number);
  }
};

export const remove: Run<typeof pkiRemoveSpec> = async (input, context) => {
  const host = nameOf(input.args.host);
  if (input.flags.unknown !== true) needName(path.resolve(input.flags.dir ?? ''), host);
  const number = changed(input.flags.dir, withoutHost(host), context);
  endTokens(path.resolve(input.flags.dir ?? ''), host);
  if (input.json) printJson(context, { removed: host, number });
  else {
    printNumber(context, `${host} is no host of the fleet any more`, number);
    const where = input.flags.dir === undefined ? '' : ` --dir ${input.flags.dir}`;
    context.out.write(
      `Next: godwit pki rotate-secret${where}, where it took part in moves over the wire.\n`,
    );
  }
};

export const rotate: Run<typeof pkiRotateSecretSpec> = (input, context) => {
  const caDir = path.resolve(input.flags.dir ?? '');
  const { id, number } = rotateSecret(caDir, context.clock.wallMs());
  if (input.json) printJson(context, { id, number });
  else printNumber(context, `The site secret is now ${id}`, number);
  return Promise.resolve();
};

function changed(dir: string | undefined, change: Change, { clock }: Context): number {
  return changeList(path.resolve(dir ?? ''), change, clock.wallMs()).list.number;
}

function printNumber({ out }: Context, what: string, number: number): void {
  out.write(`${what}: list ${number}, which the agent beside the CA hands to the other hosts.\n`);
}

function nameOf(text: string): string {
  if (hostName.safeParse(text).success) return text;
  const what = `${text.slice(0, 80)} is neither a name (a-z, 0-9, -) nor a serial number`;
  throw godwitError('GODWIT_USAGE', { what }, { hint: 'See `godwit pki revoke --help`.' });
}
