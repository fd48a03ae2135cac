import { godwitError } from '../../errors.ts';
import { WEB_ROLES } from '../../protocol/controller/session.ts';
import type { WebRole } from '../../protocol/controller/session.ts';
import type { OidcConfig } from './config.ts';

export type Claims = Readonly<Record<string, unknown>>;

/** What a provider says of a person, in our words. */
export interface Person {
  /** No token has such a name: it has spaces. */
  readonly name: string;
  readonly role: WebRole;
}

/** Control characters and those that turn a text round could make a log say something else. */
const PLAIN = /^[^\p{C}\p{Zl}\p{Zp}]{1,128}$/u;

/** Who has these claims, and what that person may here. GODWIT_OIDC_ROLE where none of the values has a role. */
export function personOf(
  claims: Claims,
  config: Pick<OidcConfig, 'name' | 'nameClaim' | 'roles'>,
): Person {
  const { name: provider, nameClaim, roles } = config;
  const said = [claims[nameClaim], claims['sub']].find(isPlain) ?? 'somebody without a plain name';
  const name = `${said} via ${provider}`;
  const values = roleValues(claims, roles.claim);
  const has = (role: WebRole): boolean =>
    values.some((value) => rolesOf(roles.values, value) === role);
  const role = WEB_ROLES.findLast(has);
  if (role !== undefined) return { name, role };
  const claim = [roles.claim].flat().join('.');
  throw godwitError('GODWIT_OIDC_ROLE', { name, provider, claim });
}

/** Whether the claim that decides is there at all. */
export function hasRoleClaim(claims: Claims, claim: string | readonly string[]): boolean {
  return claimAt(claims, claim) !== undefined;
}

/** A claim is one text or several. */
function roleValues(claims: Claims, claim: string | readonly string[]): string[] {
  return [claimAt(claims, claim)].flat().filter((value) => typeof value === 'string');
}

/** Own properties alone: a claim named like one of every object is not there. */
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
