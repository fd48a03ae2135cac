import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { GodwitError, godwitError, toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { sendBytes } from '../../rpc/answer.ts';
import { networkOf } from '../../rpc/identity.ts';
import { splitUrl } from '../../rpc/routes.ts';
import {
  begunCookie,
  begunIn,
  boundTo,
  newBegun,
  NO_BEGUN_COOKIE,
  ownPlace,
} from '../oidc/begun.ts';
import { CALLBACK_PATH } from '../oidc/config.ts';
import type { Audit } from '../audit/audit.ts';
import type { Provider } from '../oidc/provider.ts';
import { cookieOf } from '../who/cookie.ts';
import type { Sessions } from '../who/sessions.ts';
import { WEB_LIMITS } from './limits.ts';
import { html } from '../../formats/html.ts';

export const SIGN_IN_PATH = '/v1/session/oidc';
const AUDITED = { what: 'signInByProvider', route: `GET ${CALLBACK_PATH}` } as const;
/** Concurrent sign-ins; they are strangers until the provider has answered. */
const MAX_AT_ONCE = 32;
/** Limit per network, so that no stranger locks others out. */
const MAX_PER_NETWORK = 8;

export interface SignInDependencies {
  readonly provider: Provider;
  readonly sessions: Pick<Sessions, 'begin'>;
  readonly audit: Pick<Audit, 'sessionChanges' | 'signInRefused'>;
  readonly log: Log;
  readonly wallMs: () => number;
}

interface Onward {
  readonly to: string;
  readonly cookies: readonly string[];
}

/** The two URLs of a sign-in: to the provider, and back. A refusal is a page. */
export function signInListener(deps: SignInDependencies): RequestListener {
  const running: string[] = [];
  const onward = async (request: IncomingMessage): Promise<Onward> => {
    const { method = '', url } = request;
    const { path, search } = splitUrl(url);
    const asked = new URLSearchParams(search);
    if (method !== 'GET') throw godwitError('GODWIT_ROUTE_UNKNOWN', { method, path });
    const network = networkOf(request.socket.remoteAddress ?? '');
    const isFull = running.filter((each) => each === network).length >= MAX_PER_NETWORK;
    if (isFull || running.length >= MAX_AT_ONCE) {
      const limit = isFull ? MAX_PER_NETWORK : MAX_AT_ONCE;
      const what = `the sign-in, in people at once${isFull ? ' of one network' : ''},`;
      throw godwitError('GODWIT_OVERLOADED', { what, limit });
    }
    running.push(network);
    try {
      return await (path === CALLBACK_PATH ? back(deps, request, asked) : begin(deps, asked));
    } finally {
      running.splice(running.indexOf(network), 1);
    }
  };
  return (request, response) => {
    onward(request)
      .then((found) => goOn(response, found))
      .catch((thrown: unknown) => refuse(deps, { request, response }, thrown))
      .catch(() => response.destroy());
  };
}

async function begin(
  { provider, wallMs }: SignInDependencies,
  asked: URLSearchParams,
): Promise<Onward> {
  const begun = newBegun(ownPlace(asked.get('to')), wallMs());
  const { href } = await provider.signInUrl(boundTo(begun));
  return { to: href, cookies: [begunCookie(begun)] };
}

async function back(
  { provider, sessions, audit, log, wallMs }: SignInDependencies,
  { headers, socket }: IncomingMessage,
  asked: URLSearchParams,
): Promise<Onward> {
  const begun = begunIn(headers.cookie, wallMs());
  const bound = begun === undefined ? undefined : boundTo(begun);
  if (begun === undefined || bound === undefined || asked.get('state') !== bound.state) {
    const { origin } = new URL(provider.config.redirectUrl);
    const what = `this browser did not begin it within the last ten minutes at ${origin}`;
    throw godwitError('GODWIT_OIDC_REFUSED', { provider: provider.config.name, what });
  }
  const { name, role, issuer, subject: sub } = await provider.personBehind(asked, bound);
  const lifeMs = Math.round(provider.config.sessionHours * 3_600_000);
  const from = networkOf(socket.remoteAddress ?? '');
  await audit.sessionChanges({
    ...AUDITED,
    from: socket.remoteAddress,
    who: name,
    role,
    by: 'oidc',
    facts: { issuer, sub },
  });
  const person = { issuer, subject: sub };
  const { secret, expiresAtMs } = await sessions.begin({ name, role, lifeMs, person });
  log.info({ name, role, issuer, sub, from }, 'user signed in');
  return { to: begun.to, cookies: [cookieOf(secret, expiresAtMs - wallMs()), NO_BEGUN_COOKIE] };
}

async function goOn(response: ServerResponse, { to, cookies }: Onward): Promise<void> {
  response.setHeader('set-cookie', cookies);
  const headers = { location: to, 'cache-control': 'no-store' };
  await sendBytes(response, { status: 303, headers, bytes: Buffer.alloc(0) }, WEB_LIMITS.stallMs);
}

async function refuse(
  { audit, log }: SignInDependencies,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
  thrown: unknown,
): Promise<void> {
  const error = toGodwitError(thrown);
  const from = networkOf(request.socket.remoteAddress ?? '');
  const { code, message: reason } = error;
  audit.signInRefused({ ...AUDITED, from: request.socket.remoteAddress }, code);
  if (thrown instanceof GodwitError) log.info({ code, reason, from }, 'sign-in refused');
  else log.error({ error: thrown, from }, 'sign-in failed because of a defect');
  response.setHeader('set-cookie', NO_BEGUN_COOKIE);
  const headers = { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' };
  const bytes = Buffer.from(refusalPage(error));
  await sendBytes(response, { status: error.http, headers, bytes }, WEB_LIMITS.stallMs);
}

/** The refusal page after a failed sign-in, without scripts. Pure. */
function refusalPage({ code, message, hint }: GodwitError): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>Not signed in - Godwit</title>
        <link rel="icon" href="/icon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/app.css" />
      </head>
      <body>
        <main class="login" id="main">
          <div class="panel">
            <h1>Not signed in</h1>
            <p role="alert">${message}</p>
            <p class="soft">${hint}</p>
            <p class="soft"><code>${code}</code></p>
            <a class="button primary" href="/">Back to the sign-in page</a>
          </div>
        </main>
      </body>
    </html> `.text;
}
