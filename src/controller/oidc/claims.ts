import { createHash } from 'node:crypto';
import { godwitError } from '../../errors.ts';
import { WEB_ROLES, type WebRole } from '../../protocol/controller/session.ts';
import type { OidcConfig } from './config.ts';

export type Claims = Readonly<Record<string, unknown>>;

export interface Person {
  /** Unique: no token's name has spaces, and it ends with the person's mark. */
  readonly name: string;
  readonly role: WebRole;
  /** Together they identify the person permanently. */
  readonly issuer: string;
  readonly subject: string;
}

/** Control and bidirectional characters could falsify a log line. */
const PLAIN = /^[^\p{C}\p{Zl}\p{Zp}]{1,128}$/u;

const SUBJECT = /^[\x20-\x7e]{1,255}$/;

/** The person with these claims. GODWIT_OIDC_ROLE if no value has a role; GODWIT_OIDC_REFUSED without a subject. */
export function personOf(
  claims: Claims,
  config: Pick<OidcConfig, 'name' | 'issuer' | 'nameClaim' | 'roles'>,
): Person {
  const { name: provider, issuer, nameClaim, roles } = config;
  const subject = claims['sub'];
  if (typeof subject !== 'string' || !SUBJECT.test(subject)) {
    const what = 'its subject (sub) is not 1 to 255 printable ASCII characters';
    throw godwitError('GODWIT_OIDC_REFUSED', { provider, what });
  }
  const given = [claims[nameClaim], subject].find(isPlain) ?? 'a person without a plain name';
  const name = `${given}#${markOf(issuer, subject)} via ${provider}`;
  const values = roleValues(claims, roles.claim);
  const has = (role: WebRole): boolean =>
    values.some((value) => rolesOf(roles.values, value) === role);
  const role = WEB_ROLES.findLast(has);
  if (role !== undefined) return { name, role, issuer, subject };
  const claim = [roles.claim].flat().join('.');
  throw godwitError('GODWIT_OIDC_ROLE', { name, provider, claim });
}

/** Identifies one subject; many providers let people choose their names. */
function markOf(issuer: string, subject: string): string {
  return createHash('sha256')
    .update(JSON.stringify([issuer, subject]))
    .digest('hex')
    .slice(0, 8);
}

export function hasRoleClaim(claims: Claims, claim: string | readonly string[]): boolean {
  return claimAt(claims, claim) !== undefined;
}

function roleValues(claims: Claims, claim: string | readonly string[]): string[] {
  return [claimAt(claims, claim)].flat().filter((value) => typeof value === 'string');
}

function claimAt(claims: Claims, claim: string | readonly string[]): unknown {
  return [claim].flat().reduce<unknown>((at, name) => {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    return (at as Claims)[name];
  }, claims);
}

function rolesOf(values: Readonly<Record<string, WebRole>>, value: string): WebRole | undefined {
  return Object.hasOwn(values, value) ? values[value] : undefined;
}

function isPlain(value: unknown): value is string {
  return typeof value === 'string' && PLAIN.test(value);
}
