import { X509Certificate } from 'node:crypto';
import { godwitError } from './errors.ts';
import { controllerContract } from './protocol/controller/contract.ts';
import { client, type Client, type ClientOptions } from './rpc/client.ts';

/** What programs import as `godwit/client`. */
export { GodwitError, hasCode } from './errors.ts';
export type { ErrorCode } from './errors.ts';
export { client } from './rpc/client.ts';
export type { Api, CallOptions, Client, ClientOptions } from './rpc/client.ts';
export { controllerContract } from './protocol/controller/contract.ts';

/** Each route of a controller as a function, by its name in the API's description (`operationId`). */
export type ControllerClient = Client<typeof controllerContract>;

export interface ConnectOptions extends ClientOptions {
  /** `https://HOST[:PORT]` of the controller's web listener. */
  readonly url: string;
  /** The secret of a token: `godwit token create`. */
  readonly token: string;
  /** PEM of the CA that issued the certificate there, such as the fleet's `ca.crt`; absent: those that Node trusts. */
  readonly ca?: string;
}

/**
 * A typed client of a controller. Nothing is sent before the first call; `close` ends its connections. GODWIT_USAGE where
 * the url, the token or the CA cannot be one.
 */
export function connect({ url, token, ca, ...options }: ConnectOptions): ControllerClient {
  const web = { url: originOf(url), token: checkedToken(token) };
  const trusted = ca === undefined ? {} : { ca: checkedCa(ca) };
  return client(controllerContract, { ...web, ...trusted }, options);
}

/** A token goes over no connection that others can read. */
function originOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlace = url?.protocol === 'https:' && url.href === `${url.origin}/`;
  if (isPlace) return url;
  throw godwitError('GODWIT_USAGE', { what: 'the url of a controller is https://HOST[:PORT]' });
}

/** The text is a secret: no error repeats it. */
function checkedToken(token: string): string {
  if (/^[\x21-\x7e]{1,256}$/.test(token)) return token;
  const what = 'the token is empty, longer than 256 characters, or has a space or a line break';
  throw godwitError('GODWIT_USAGE', { what });
}

/** Node takes a text without any certificate for a CA that issued nothing. */
function checkedCa(ca: string): string {
  try {
    new X509Certificate(ca);
    return ca;
  } catch (cause) {
    throw godwitError('GODWIT_USAGE', { what: '`ca` is no certificate in PEM' }, { cause });
  }
}
