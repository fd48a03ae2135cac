import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { Provider, type JWK } from 'oidc-provider';
import { issue } from '../../../src/pki/authority.ts';
import { CALLBACK_PATH, type OidcConfig } from '../../../src/controller/oidc/config.ts';
import { tempDir } from '../../rpc/test-contract.ts';

export type IdClaims = Record<string, unknown>;

export interface TestProvider {
  readonly issuer: string;
  /** Of `web.oidc`. */
  readonly settings: OidcConfig;
  /** From now on ID tokens say what this makes of what they said; signed with the provider's own key, or a foreign one. */
  forge(change: (claims: IdClaims) => IdClaims, by?: 'own' | 'foreign'): void;
  /** From now on it answers everything with 502. */
  fail(): void;
  /** From now on nothing is answered until the test ends. */
  hang(): void;
  close(): Promise<void>;
}

const SECRET = 'a secret of the client';
/** The controller, as browsers know it; no port is named before one is there. */
export const DASHBOARD = 'https://godwit.test';

/** login → groups. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  ann: ['staff', 'fleet-operators'],
  ada: ['fleet-operators', 'fleet-admins'],
  eve: ['visitors'],
};

/** A provider of OpenID Connect on loopback, over TLS of that CA: a person types a login, and no password. */
export async function oidcProvider(
  t: TestContext,
  caDir: string,
  { groupsIn = 'id_token' }: { groupsIn?: 'id_token' | 'userinfo' } = {},
): Promise<TestProvider> {
  const issued = await issue({ caDir, name: 'id', role: 'agent', addresses: ['127.0.0.1'] });
  let answer = (_request: IncomingMessage, _response: ServerResponse): void => {};
  const server = createServer({ cert: issued.cert, key: issued.key }, (request, response) =>
    answer(request, response),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  t.after(close);
  const issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = {
    ...privateKey.export({ format: 'jwk' }),
    kid: 'one',
    use: 'sig',
    alg: 'RS256',
  } as JWK;
  const provider = quietly(() => providerOf(issuer, key, groupsIn));
  let signer = privateKey;
  let forged = (claims: IdClaims): IdClaims => claims;
  const serve = provider.callback();
  answer = (request, response) => {
    if (request.url?.startsWith('/person/') === true)
      return void person(provider, request, response);
    if (request.url === '/token')
      resign(
        response,
        () => signer,
        (claims) => forged(claims),
      );
    void serve(request, response);
  };
  const directory = tempDir(t);
  const clientSecretFile = path.join(directory, 'secret');
  writeFileSync(clientSecretFile, `${SECRET}\n`);
  chmodSync(clientSecretFile, 0o600);
  return {
    issuer,
    settings: {
      name: 'Test ID',
      issuer,
      clientId: 'godwit',
      redirectUrl: DASHBOARD + CALLBACK_PATH,
      clientSecretFile,
      caFile: path.join(caDir, 'ca.crt'),
      scopes: ['profile', 'groups'],
      nameClaim: 'preferred_username',
      roles: {
        claim: 'groups',
        values: { 'fleet-operators': 'operator', 'fleet-admins': 'admin' },
      },
      sessionHours: 2,
    },
    forge: (change, by = 'own') => {
      forged = change;
      signer = by === 'own' ? privateKey : foreign.privateKey;
    },
    hang: () => (answer = () => {}),
    fail: () => (answer = (_request, response) => response.writeHead(502).end('{}')),
    close,
  };
}

function providerOf(issuer: string, key: JWK, groupsIn: 'id_token' | 'userinfo'): Provider {
  return new Provider(issuer, {
    clients: [
      {
        client_id: 'godwit',
        client_secret: SECRET,
        redirect_uris: [DASHBOARD + CALLBACK_PATH],
      },
    ],
    jwks: { keys: [key] },
    cookies: { keys: ['a key of this test'] },
    claims: { profile: ['preferred_username'], groups: ['groups'] },
    conformIdTokenClaims: groupsIn === 'userinfo',
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, { uid }) => `/person/${uid}` },
    findAccount: (_context, sub) => ({
      accountId: sub,
      claims: () => ({ sub, preferred_username: sub, groups: [...(GROUPS[sub] ?? [])] }),
    }),
    // Nobody is asked for consent.
    loadExistingGrant: async ({ oidc }) => {
      const { client, account, provider, params } = oidc;
      const grant = new provider.Grant({
        ...(client === undefined ? {} : { clientId: client.clientId }),
        ...(account === undefined ? {} : { accountId: account.accountId }),
      });
      grant.addOIDCScope(params?.['scope'] as string);
      await grant.save();
      return grant;
    },
    ttl: {
      AccessToken: 60,
      AuthorizationCode: 60,
      Grant: 60,
      IdToken: 60,
      Interaction: 60,
      Session: 60,
    },
  });
}

/** Asks who it is (GET), and takes what is typed (POST). */
async function person(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'POST') {
    response.setHeader('content-type', 'text/html');
    response.end(
      `<!doctype html><html lang="en"><title>Test ID</title><form method="post">
        <label>Login <input name="login"></label><button>Continue</button></form></html>`,
    );
    return;
  }
  let body = '';
  for await (const chunk of request) body += String(chunk);
  const accountId = new URLSearchParams(body).get('login') ?? '';
  await provider.interactionFinished(request, response, { login: { accountId } });
}

/** Changes the ID token in an answer, and signs it again: what a provider that is wrong, or another one, would say. */
function resign(
  response: ServerResponse,
  signer: () => KeyObject,
  change: (claims: IdClaims) => IdClaims,
): void {
  const end = response.end.bind(response) as (body: string) => ServerResponse;
  response.end = ((body: string | Buffer) => {
    const reported = JSON.parse(String(body)) as { id_token?: string };
    if (reported.id_token === undefined) return end(String(body));
    const [head = '', payload = ''] = reported.id_token.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as IdClaims;
    const said = `${head}.${Buffer.from(JSON.stringify(change(claims))).toString('base64url')}`;
    const mark = sign('sha256', Buffer.from(said), signer()).toString('base64url');
    const text = JSON.stringify({ ...reported, id_token: `${said}.${mark}` });
    response.setHeader('content-length', Buffer.byteLength(text));
    return end(text);
  }) as typeof response.end;
}

/** The provider warns on the console of what is only for tests, which this is. */
function quietly<T>(make: () => T): T {
  const { warn, info } = console;
  console.warn = console.info = () => {};
  try {
    return make();
  } finally {
    Object.assign(console, { warn, info });
  }
}
