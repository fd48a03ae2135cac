import { createHmac, randomBytes } from 'node:crypto';
import { godwitError } from '../../errors.ts';

/** Cookie of a started sign-in. `__Host-`: no other host can set it. */
const COOKIE = '__Host-godwit-begun';
/** Enough for a sign-in with a second factor. */
export const BEGUN_MS = 600_000;
const MAX_CHARACTERS = 512;
const VALUE = /^(\d{1,16})\.([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{0,2732})$/;

/** A started sign-in of one browser. Everything that binds the provider's answer to it derives from `secret`. */
export interface SignInAttempt {
  readonly atMs: number;
  readonly secret: string;
  readonly to: string;
}

export interface SignInBinding {
  readonly state: string;
  readonly nonce: string;
  /** Of PKCE. */
  readonly verifier: string;
}

export function newBegun(to: string, nowMs: number): SignInAttempt {
  return { atMs: nowMs, secret: randomBytes(32).toString('base64url'), to };
}

/** Three values that cannot be related without the secret. */
export function boundTo({ atMs, secret, to }: SignInAttempt): SignInBinding {
  const made = (purpose: string): string =>
    createHmac('sha256', secret).update(`${purpose} ${atMs} ${to}`).digest('base64url');
  return { state: made('state'), nonce: made('nonce'), verifier: made('verifier') };
}

/** The Set-Cookie header. Lax: the provider is another site, and returns the browser by a link. */
export function begunCookie({ atMs, secret, to }: SignInAttempt): string {
  const value = `${atMs}.${secret}.${Buffer.from(to).toString('base64url')}`;
  return `${COOKIE}=${value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${BEGUN_MS / 1000}`;
}

export const NO_BEGUN_COOKIE = `${COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0`;

/** The browser's started sign-in, from its Cookie header; undefined if missing or expired. */
export function begunIn(header: string | undefined, nowMs: number): SignInAttempt | undefined {
  for (const part of (header ?? '').split(';')) {
    const [name = '', value = ''] = part.trim().split('=', 2);
    const [, at = '', secret = '', to = ''] = (name === COOKIE && VALUE.exec(value)) || [];
    const age = nowMs - Number(at);
    if (secret === '' || age < 0 || age > BEGUN_MS) continue;
    const place = Buffer.from(to, 'base64url').toString();
    if (isOwnPlace(place)) return { atMs: Number(at), secret, to: place };
  }
  return undefined;
}

/** A path of the dashboard from a request. GODWIT_USAGE for a path to another site. */
export function ownPlace(to: string | null): string {
  if (to === null) return '/';
  if (isOwnPlace(to)) return to;
  const what = `\`to\` is no path of the dashboard: ${JSON.stringify(to.slice(0, 100))}`;
  throw godwitError('GODWIT_USAGE', { what }, { hint: 'Write it like /hosts/a.' });
}

const ANY_ORIGIN = 'https://dashboard.invalid';

/** Browsers resolve `//host`, `/\host` and dropped characters to other sites. */
function isOwnPlace(to: string): boolean {
  if (to.length > MAX_CHARACTERS || !/^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(to)) return false;
  return URL.canParse(to, ANY_ORIGIN) && new URL(to, ANY_ORIGIN).origin === ANY_ORIGIN;
}
