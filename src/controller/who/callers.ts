import type { IncomingMessage } from 'node:http';
import { godwitError, type GodwitError } from '../../errors.ts';
import type { Caller } from '../../rpc/caller.ts';
import { whyForged } from '../../rpc/forgery.ts';
import { countOn } from '../../rpc/gate.ts';
import { networkOf } from '../../rpc/identity.ts';
import { secretIn } from './cookie.ts';
import type { Recognition } from './recognition.ts';
import type { Sessions } from './sessions.ts';
import type { WebIdentity, Tokens } from './tokens.ts';

export interface WhoDependencies {
  readonly tokens: Pick<Tokens, 'find'>;
  readonly sessions: Pick<Sessions, 'find'>;
  readonly recognition: Pick<Recognition, 'owner'>;
  readonly origin: string | undefined;
}

const BEARER = /^bearer +(\S{1,256}) *$/i;

/**
 * The caller of the web listener, by `authorization: Bearer` or session cookie. GODWIT_REQUEST_FORGED if another site
 * may have caused the request; GODWIT_OVERLOADED above the caller's connection limit; GODWIT_SIGN_IN_OFTEN if its
 * network has sent too many invalid secrets.
 */
export async function webCaller(deps: WhoDependencies, request: IncomingMessage): Promise<Caller> {
  const { authorization, cookie } = request.headers;
  const { tokens, sessions, recognition } = deps;
  const from = request.socket.remoteAddress ?? 'a browser';
  const network = networkOf(from);
  const none = (refusal: GodwitError): Caller => ({ role: 'none', name: from, refusal });
  if (authorization !== undefined) {
    const [, secret] = BEARER.exec(authorization) ?? [];
    const find = (text: string) => tokens.find(text);
    const known = secret === undefined ? undefined : await recognition.owner(secret, network, find);
    if (known === undefined)
      return none(godwitError('GODWIT_TOKEN_REFUSED', { what: 'the token' }));
    return counted(known, 'token', request);
  }
  const secret = secretIn(cookie);
  const find = (text: string) => sessions.find(text);
  const known = secret === undefined ? undefined : await recognition.owner(secret, network, find);
  const { method = '', headers } = request;
  const hasCookie = known !== undefined;
  const what = whyForged({ method, headers, hasCookie, origin: deps.origin });
  if (what !== undefined) throw godwitError('GODWIT_REQUEST_FORGED', { what });
  return known === undefined
    ? none(godwitError('GODWIT_SIGN_IN', {}))
    : counted(known, 'session', request);
}

function counted(
  { name, role, expiresAtMs }: WebIdentity,
  by: 'token' | 'session',
  { socket }: IncomingMessage,
): Caller {
  const end = expiresAtMs === undefined ? {} : { expiresAtMs };
  const caller: Caller = { name, role, by, ...end };
  countOn(caller, socket);
  return caller;
}
