import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { godwitError } from '../errors.ts';
import { CA_FILE } from '../host/credentials.ts';
import type { CaRotation, RotationMember } from '../protocol/public/rotation.ts';
import { bundleText, parseBundle, type Authority } from '../rpc/trust-bundle.ts';
import { renameSynced } from '../system/files/whole-file.ts';
import { CA_KEY, readAuthority, readPki, writePrivate, type IssuingAuthority } from './files.ts';
import { changeList, type Change } from './fleet-list.ts';
import { endTokens } from './token.ts';

/**
 * The rotation of a CA, in its directory. `next/ca.key` is the key of a CA that does not issue yet:
 *
 *   idle          one certificate in ca.crt
 *   distributing  two certificates, and next/ca.key: all members are to trust both; the old CA issues
 *   renewing      two certificates, and no next/ca.key: ca.key is the new one; members renew
 *
 * Each step can be repeated after a crash: it completes what it began.
 */
export type Stage = CaRotation['stage'];

const NEXT = 'next';
const CA_DAYS = 3650;
const WHERE = 'Run it on the host that holds the CA, or name its directory with --dir.';

export interface RotationState extends IssuingAuthority {
  readonly stage: Stage;
}

/** Where a CA's rotation is. */
export function rotationOf(caDir: string): RotationState {
  const authority = readAuthority(caDir);
  return { ...authority, stage: stageOf(caDir, authority) };
}

function stageOf(caDir: string, { authorities }: IssuingAuthority): Stage {
  if (existsSync(path.join(caDir, NEXT, CA_KEY))) return 'distributing';
  return authorities.length > 1 ? 'renewing' : 'idle';
}

/** Makes a new CA beside the one that issues, and has all members trust both. */
export async function startRotation(caDir: string, nowMs: number): Promise<Authority> {
  const { stage, authorities } = rotationOf(caDir);
  if (stage === 'renewing') {
    throw wrongStage('the rotation before this one is not finished', 'godwit pki rotate-ca finish');
  }
  if (stage === 'idle') await makeNext(caDir, nowMs);
  const next = nextOf(caDir);
  const others = authorities.filter(({ fingerprint }) => fingerprint !== next.fingerprint);
  publish(caDir, [...others, next], nowMs);
  return next;
}

/** A name of its own: programs choose among CAs by their names. */
async function makeNext(caDir: string, nowMs: number): Promise<void> {
  const { makeAuthority } = await import('./x509.ts');
  const name = `Godwit CA ${new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z')}`;
  const { cert, key } = await makeAuthority(name, { nowMs, days: CA_DAYS });
  writePrivate(path.join(caDir, NEXT, CA_FILE), cert);
  // Last: it is what makes the directory one of a rotation.
  writePrivate(path.join(caDir, NEXT, CA_KEY), key);
}

function nextOf(caDir: string): Authority {
  const file = path.join(caDir, NEXT, CA_FILE);
  return parseBundle(readPki(file, WHERE), file)[0];
}

/** From now on the new CA issues; the old one's key is gone. Returns the names of the tokens that ended with it. */
export function switchIssuing(caDir: string, nowMs: number): string[] {
  const { stage } = rotationOf(caDir);
  if (stage === 'idle') throw wrongStage('no rotation has been started', NEXT_STEP.idle);
  if (stage === 'distributing') {
    const next = nextOf(caDir);
    const isTrusted = readAuthority(caDir).authorities.some(
      ({ fingerprint }) => fingerprint === next.fingerprint,
    );
    if (!isTrusted) throw wrongStage('`start` did not complete', NEXT_STEP.idle);
    // In one step: the key in `ca.key` names the CA that issues.
    renameSynced(path.join(caDir, NEXT, CA_KEY), path.join(caDir, CA_KEY));
  }
  const { authorities } = readAuthority(caDir);
  publish(caDir, authorities, nowMs);
  rmSync(path.join(caDir, NEXT), { recursive: true, force: true });
  // They name the old CA, and the agent beside the CA shows a certificate of the new one.
  return endTokens(caDir);
}

/** Nobody trusts the old CA from now on. Returns the fingerprints of what was removed. */
export function finishRotation(caDir: string, nowMs: number): string[] {
  const { stage, authorities } = rotationOf(caDir);
  if (stage !== 'renewing') throw wrongStage('the new CA does not issue yet', NEXT_STEP[stage]);
  const [issuing, ...old] = authorities;
  if (issuing !== undefined) publish(caDir, [issuing], nowMs);
  return old.map(({ fingerprint }) => fingerprint);
}

/** Forgets the new CA while it has issued nothing. */
export function cancelRotation(caDir: string, nowMs: number): void {
  const { stage, authorities } = rotationOf(caDir);
  if (stage === 'renewing') {
    const what = 'members have certificates of the new CA';
    throw wrongStage(what, 'godwit pki rotate-ca finish, then rotate again');
  }
  if (stage === 'idle') throw wrongStage('no rotation has been started', NEXT_STEP.idle);
  const [issuing] = authorities;
  if (issuing !== undefined) publish(caDir, [issuing], nowMs);
  rmSync(path.join(caDir, NEXT), { recursive: true, force: true });
}

/**
 * The list is signed while `ca.crt` still has every CA of before, so that it can be checked. What is added to `ca.crt` is
 * there before a list names it.
 */
function publish(caDir: string, authorities: readonly Authority[], nowMs: number): void {
  const file = path.join(caDir, CA_FILE);
  const before = readAuthority(caDir).authorities;
  const added = authorities.filter(
    ({ fingerprint }) => !before.some((each) => each.fingerprint === fingerprint),
  );
  if (added.length > 0) writePrivate(file, bundleText([...before, ...added]));
  changeList(caDir, withAuthorities(authorities), nowMs);
  writePrivate(file, bundleText(authorities));
}

function withAuthorities(authorities: readonly Authority[]): Change {
  return (list) => ({ ...list, authorities: authorities.map(({ pem }) => pem) });
}

/** What comes next, as it is typed. */
export const NEXT_STEP: Readonly<Record<Stage, string>> = {
  idle: 'godwit pki rotate-ca start',
  distributing: 'godwit pki rotate-ca switch',
  renewing: 'godwit pki rotate-ca finish',
};

/** Who keeps the next step from being safe, and why. */
export interface Lacking {
  readonly name: string;
  readonly role: string;
  readonly why: string;
}

/**
 * Before the switch, every member must trust both CAs; before the end, every certificate must be of the new one. A member
 * that did not answer counts as one that lacks it. Pure.
 */
export function lackingFor(
  step: 'switch' | 'finish',
  { authorities, issuing, members }: Pick<CaRotation, 'authorities' | 'issuing' | 'members'>,
): Lacking[] {
  return members.flatMap((member) => {
    const why =
      whyUnknown(member) ??
      whyEarlier(member) ??
      (step === 'switch' ? whyNotTrusting(member, authorities) : whyOfOld(member, issuing));
    return why === undefined ? [] : [{ name: member.name, role: member.role, why }];
  });
}

function whyUnknown({ problem }: RotationMember): string | undefined {
  return problem === undefined ? undefined : `its state is unknown: ${problem}`;
}

function whyEarlier({ earlierMigrations: count }: RotationMember): string | undefined {
  return count === undefined
    ? undefined
    : `${count} of its migrations began with earlier certificates and must end first`;
}

function whyNotTrusting(
  { trusts = [] }: RotationMember,
  authorities: readonly string[],
): string | undefined {
  return authorities.every((each) => trusts.includes(each))
    ? undefined
    : 'it does not trust the new CA yet';
}

function whyOfOld({ issuer, trusts = [] }: RotationMember, issuing: string): string | undefined {
  if (issuer !== issuing) return 'its certificate is of the old CA';
  return trusts.includes(issuing) ? undefined : 'it does not trust the new CA';
}

function wrongStage(what: string, next: string): Error {
  return godwitError('GODWIT_PKI', { what }, { hint: `Run \`${next}\`.` });
}
