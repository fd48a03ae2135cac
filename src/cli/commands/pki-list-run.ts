import path from 'node:path';
import {
  changeList,
  withoutHost,
  withoutName,
  withoutSerial,
  type Change,
} from '../../pki/fleet-list.ts';
import { needName } from '../../pki/known-names.ts';
import { endTokens } from '../../pki/token.ts';
import { rotateSecret } from '../../pki/site-secret.ts';
import { godwitError } from '../../errors.ts';
import { hostName } from '../../protocol/names.ts';
import { printJson, type Context } from '../context.ts';
import type { Run } from '../verb.ts';
import type { pkiRemoveSpec, pkiRevokeSpec, pkiRotateSecretSpec } from './pki.ts';

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
  else printNumber(context, `The site’s secret is another one, ${id}`, number);
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
