import path from 'node:path';
import { godwitError, toGodwitError } from '../../errors.ts';
import {
  cancelRotation,
  finishRotation,
  lackingFor,
  NEXT_STEP,
  rotationOf,
  startRotation,
  switchIssuing,
  type Lacking,
} from '../../pki/rotation.ts';
import type { CaRotation, RotationMember } from '../../protocol/public/rotation.ts';
import { renderTable } from '../../words/table.ts';
import { printJson, type Context } from '../context.ts';
import { listLook } from '../lists.ts';
import type { Input, Run } from '../verb.ts';
import type { pkiRotateCaSpec } from './pki-specs.ts';

type RotateInput = Input<typeof pkiRotateCaSpec>;

/** Every host is asked. */
const STATUS_MS = 120_000;
/** Names that an error has room for. */
const MAX_NAMED = 6;

export const run: Run<typeof pkiRotateCaSpec> = async (input, context) => {
  const caDir = path.resolve(input.flags.dir ?? '');
  switch (input.args.step) {
    case undefined:
      return showStatus(await askAgent(input, context), input, context);
    case 'start':
      return start(caDir, input, context);
    case 'switch':
      return switchTo(caDir, input, context);
    case 'finish':
      return finish(caDir, input, context);
    case 'cancel':
      cancelRotation(caDir, context.clock.wallMs());
      return done(caDir, 'The new CA is removed: the old CA keeps issuing.', input, context);
    default: {
      const what = `${input.args.step.slice(0, 40)} is not a step: start, switch, finish or cancel`;
      throw godwitError('GODWIT_USAGE', { what }, { hint: 'See `godwit pki rotate-ca --help`.' });
    }
  }
};

async function start(caDir: string, input: RotateInput, context: Context): Promise<void> {
  const { fingerprint } = await startRotation(caDir, context.clock.wallMs());
  const text =
    `The new CA has the fingerprint ${fingerprint}. The old one still issues.\n` +
    'Hosts and controllers trust both within a minute. Persons run `godwit pki renew`; a relay gets a new ca.crt by hand.\n' +
    `Back up ${caDir} now. Once \`godwit pki rotate-ca\` shows that nobody lacks the new CA: ${NEXT_STEP.distributing}`;
  return done(caDir, text, input, context);
}

async function switchTo(caDir: string, input: RotateInput, context: Context): Promise<void> {
  const { stage } = rotationOf(caDir);
  // A switch that a crash cut short is completed.
  if (stage === 'distributing') await needAll('switch', caDir, input, context);
  const ended = switchIssuing(caDir, context.clock.wallMs());
  const tokens =
    ended.length === 0
      ? ''
      : `\nTokens that were not used have ended, since they name the old CA. Invite again: ${ended.join(', ')}`;
  const text =
    'The new CA issues. Hosts renew their certificates within two minutes. Persons and controllers run `godwit pki renew`; ' +
    `a relay gets a new certificate from \`godwit pki issue\`.${tokens}\n` +
    `Once \`godwit pki rotate-ca\` shows no certificate of the old CA: ${NEXT_STEP.renewing}`;
  return done(caDir, text, input, context);
}

async function finish(caDir: string, input: RotateInput, context: Context): Promise<void> {
  if (rotationOf(caDir).stage === 'renewing') await needAll('finish', caDir, input, context);
  const removed = finishRotation(caDir, context.clock.wallMs());
  const text =
    `Removed: ${removed.join(', ')}. Hosts and controllers no longer trust it within a minute.\n` +
    'Persons run `godwit pki renew` once more; a relay gets the new ca.crt by hand. Destroy offline copies of the old ca.key.';
  return done(caDir, text, input, context);
}

/** GODWIT_PKI names the members that the step would cut off, unless the operator takes that on. */
async function needAll(
  step: 'switch' | 'finish',
  caDir: string,
  input: RotateInput,
  context: Context,
): Promise<void> {
  const isForced = input.flags.yesIKnow === true;
  let lacking: Lacking[];
  try {
    const status = await askAgent(input, context);
    const { fingerprint } = rotationOf(caDir);
    if (status.issuing !== fingerprint) throw otherCa(caDir);
    lacking = lackingFor(step, status);
    if (status.omitted !== undefined)
      lacking.push({ name: `${status.omitted} others`, role: '', why: 'they are not listed' });
  } catch (thrown) {
    if (!isForced) throw thrown;
    const { message } = toGodwitError(thrown);
    context.err.write(`Members could not be asked: ${message}\n`);
    return;
  }
  if (lacking.length === 0) return;
  if (!isForced) throw cutsOff(step, lacking);
  for (const each of lacking) context.err.write(`cut off: ${lackingText(each)}\n`);
}

function cutsOff(step: 'switch' | 'finish', lacking: readonly Lacking[]): Error {
  const named = lacking.slice(0, MAX_NAMED).map(lackingText).join('; ');
  const rest = lacking.length - MAX_NAMED;
  const others = rest > 0 ? `; and ${rest} more` : '';
  const what = `${step} would cut off ${lacking.length} of the members: ${named}${others}`;
  const hint =
    '`godwit pki rotate-ca` lists them. Start hosts that are down. Persons and controllers run `godwit pki renew`. Remove members that are gone with `godwit pki remove` or `godwit pki revoke`. --yes-i-know carries the step out now.';
  return godwitError('GODWIT_PKI', { what: what.slice(0, 480) }, { hint });
}

function lackingText({ name, role, why }: Lacking): string {
  return role === '' ? `${name}: ${why}` : `${name} (${role}): ${why}`;
}

function otherCa(caDir: string): Error {
  const what = `the agent holds another CA than ${caDir}`;
  const hint = 'Name the directory that is `caDir` in its configuration with --dir.';
  return godwitError('GODWIT_PKI', { what }, { hint });
}

async function askAgent(input: RotateInput, context: Context): Promise<CaRotation> {
  const fleet = await context.connect(input.connection);
  try {
    const [{ api }, ...others] = fleet.endpoints;
    if (others.length > 0) {
      const facts = { what: 'a lab has several agents; which one holds the CA?' };
      throw godwitError('GODWIT_USAGE', facts, { hint: 'Name its host with --host.' });
    }
    return await api.caRotation({}, { deadlineMs: STATUS_MS });
  } finally {
    fleet.close();
  }
}

const STAGES: Readonly<Record<CaRotation['stage'], string>> = {
  idle: 'One CA is trusted; no rotation is under way.',
  distributing: 'The new CA is being distributed; the old one issues.',
  renewing: 'The new CA issues; members renew their certificates.',
};

function showStatus(status: CaRotation, input: RotateInput, context: Context): void {
  if (input.json) return printJson(context, status);
  const { stage, issuing, authorities, members } = status;
  const step = ({ idle: undefined, distributing: 'switch', renewing: 'finish' } as const)[stage];
  const lacking = new Map(
    (step === undefined ? [] : lackingFor(step, status)).map((each) => [keyOf(each), each.why]),
  );
  const rows = members.map((member) => [
    member.name,
    member.role,
    trustCell(member, authorities),
    issuerCell(member, issuing),
    lacking.get(keyOf(member)) ?? member.problem ?? '',
  ]);
  const head = ['NAME', 'ROLE', 'TRUSTS', 'CERTIFICATE', 'MISSING'];
  const cas = authorities.map((each) => `${each}${each === issuing ? ' (issues)' : ''}\n`);
  context.out.write(`${STAGES[stage]}\n${cas.join('')}\n`);
  context.out.write(renderTable(head, rows, listLook(context, {})));
  if (step === undefined) return;
  const next = lacking.size === 0 ? `Next: ${NEXT_STEP[stage]}` : `${lacking.size} are missing.`;
  context.out.write(`\n${next}\n`);
}

const keyOf = ({ name, role }: { readonly name: string; readonly role: string }): string =>
  `${role} ${name}`;

function trustCell({ trusts }: RotationMember, authorities: readonly string[]): string {
  if (trusts === undefined) return 'unknown';
  const known = authorities.filter((each) => trusts.includes(each)).length;
  const others = trusts.length - known;
  const rest = others > 0 ? `, and ${others} removed` : '';
  return `${known} of ${authorities.length}${rest}`;
}

function issuerCell({ issuer }: RotationMember, issuing: string): string {
  if (issuer === undefined) return 'unknown';
  return issuer === issuing ? 'of the CA that issues' : 'of another CA';
}

function done(caDir: string, text: string, input: RotateInput, context: Context): void {
  if (!input.json) return context.out.write(`${text}\n`);
  const { stage, fingerprint: issuing, authorities } = rotationOf(caDir);
  printJson(context, {
    stage,
    issuing,
    authorities: authorities.map((each) => each.fingerprint),
  });
}
