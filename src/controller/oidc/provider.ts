import { readFile } from 'node:fs/promises';
import * as openid from 'openid-client';
import type { Configuration, CustomFetch } from 'openid-client';
import { withDeadline } from '../../deadline.ts';
import { GodwitError, godwitError } from '../../errors.ts';
import { readPassword } from '../../system/files/password-file.ts';
import type { SignInBinding } from './begun.ts';
import { hasRoleClaim, personOf, type Claims, type Person } from './claims.ts';
import type { OidcConfig } from './config.ts';
import { httpsFetch, NoAnswer } from '../https-fetch.ts';

const CALL_S = 5;
const STEP_MS = 10_000;
/** Maximum age of metadata. */
const KNOWN_MS = 3_600_000;

interface DiscoveredProvider {
  readonly configuration: Configuration;
  readonly secret: string;
  readonly ca: string | undefined;
  readonly atMs: number;
}

/** Contacted only during sign-ins. */
export class Provider {
  readonly config: OidcConfig;
  readonly #monotonicMs: () => number;
  readonly #callS: number;
  #found: DiscoveredProvider | undefined;
  #finding: { readonly of: string; readonly found: Promise<Configuration> } | undefined;

  constructor(config: OidcConfig, monotonicMs: () => number, callS: number = CALL_S) {
    this.config = config;
    this.#monotonicMs = monotonicMs;
    this.#callS = callS;
  }

  async check(): Promise<void> {
    await this.#files();
  }

  /** GODWIT_OIDC_DOWN if the provider does not answer. */
  async signInUrl({ state, nonce, verifier }: SignInBinding): Promise<URL> {
    const { redirectUrl, scopes } = this.config;
    const configuration = await this.#step(() => this.#discovered());
    return openid.buildAuthorizationUrl(configuration, {
      redirect_uri: redirectUrl,
      scope: [...new Set(['openid', ...scopes])].join(' '),
      state,
      nonce,
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
  }

  /**
   * GODWIT_OIDC_REFUSED if `answer` does not match `bound` or is invalid; GODWIT_OIDC_ROLE for a person without a role;
   * GODWIT_OIDC_DOWN if the provider does not answer.
   */
  async personBehind(answer: URLSearchParams, bound: SignInBinding): Promise<Person> {
    const { nonce, state, verifier } = bound;
    const claims = await this.#step(async () => {
      const configuration = await this.#discovered();
      const at = new URL(this.config.redirectUrl);
      at.search = answer.toString();
      const tokens = await openid.authorizationCodeGrant(configuration, at, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
      });
      const reported = tokens.claims();
      if (reported === undefined) throw new Error('it sent no ID token');
      return this.#withUserInfo(configuration, tokens.access_token, reported);
    });
    return personOf(claims, this.config);
  }

  /** Some providers report groups only to a second query. */
  async #withUserInfo(
    configuration: Configuration,
    accessToken: string,
    reported: openid.IDToken,
  ): Promise<Claims> {
    const { claim } = this.config.roles;
    const { userinfo_endpoint: endpoint } = configuration.serverMetadata();
    if (hasRoleClaim(reported, claim) || endpoint === undefined) return reported;
    // Nested claims replace the token's whole, because the role is in them.
    return {
      ...reported,
      ...(await openid.fetchUserInfo(configuration, accessToken, reported.sub)),
    };
  }

  async #discovered(): Promise<Configuration> {
    const { secret, ca } = await this.#files();
    const found = this.#found;
    const nowMs = this.#monotonicMs();
    // A changed secret or CA takes effect at once.
    if (found?.secret === secret && found.ca === ca && nowMs - found.atMs < KNOWN_MS)
      return found.configuration;
    const of = JSON.stringify([secret, ca]);
    if (this.#finding?.of === of) return this.#finding.found;
    const finding = { of, found: this.#discover({ secret, ca, atMs: nowMs }) };
    this.#finding = finding;
    try {
      return await finding.found;
    } finally {
      if (this.#finding === finding) this.#finding = undefined;
    }
  }

  async #discover(asked: Omit<DiscoveredProvider, 'configuration'>): Promise<Configuration> {
    const { issuer, clientId } = this.config;
    const { secret, ca } = asked;
    const auth: openid.ClientAuth = (as, client, body, headers) => {
      const { token_endpoint_auth_methods_supported: methods = ['client_secret_basic'] } = as;
      const way = methods.includes('client_secret_basic')
        ? openid.ClientSecretBasic(secret)
        : openid.ClientSecretPost(secret);
      way(as, client, body, headers);
    };
    try {
      const configuration = await openid.discovery(new URL(issuer), clientId, {}, auth, {
        [openid.customFetch]: unlessFailed(httpsFetch(ca)),
        timeout: this.#callS,
        // Signatures are checked although the answer came over TLS.
        execute: [openid.enableNonRepudiationChecks],
      });
      this.#found = { ...asked, configuration };
      return configuration;
    } catch (cause) {
      throw this.#down(wordsOf(cause), cause);
    }
  }

  async #files(): Promise<Pick<DiscoveredProvider, 'secret' | 'ca'>> {
    const { clientSecretFile, caFile: file } = this.config;
    const secret = await readPassword(clientSecretFile);
    if (file === undefined) return { secret, ca: undefined };
    const ca = await readFile(file, 'utf8').catch((cause: unknown) => {
      throw godwitError('GODWIT_CONFIG', { file, what: 'it cannot be read' }, { cause });
    });
    return { secret, ca };
  }

  async #step<T>(work: () => Promise<T>): Promise<T> {
    const { name: provider } = this.config;
    try {
      return await withDeadline(provider, STEP_MS, undefined, work);
    } catch (cause) {
      if (cause instanceof GodwitError)
        throw cause.code === 'GODWIT_DEADLINE' ? this.#down('not in time', cause) : cause;
      const what = wordsOf(cause);
      if (chainOf(cause).some((each) => each instanceof NoAnswer)) throw this.#down(what, cause);
      throw godwitError('GODWIT_OIDC_REFUSED', { provider, what }, { cause });
    }
  }

  #down(what: string, cause: unknown): GodwitError {
    return godwitError('GODWIT_OIDC_DOWN', { provider: this.config.name, what }, { cause });
  }
}

function unlessFailed(fetch: CustomFetch): CustomFetch {
  return async (url, options) => {
    const answer = await fetch(url, options);
    if (answer.status < 500) return answer;
    throw new NoAnswer(`it answered with ${answer.status}`);
  };
}

function chainOf(thrown: unknown): Error[] {
  const chain: Error[] = [];
  for (let at = thrown; at instanceof Error && chain.length < 8; at = at.cause) chain.push(at);
  return chain;
}

/** The library's messages, outermost first; a provider's texts are cut and stripped of control characters. */
function wordsOf(thrown: unknown): string {
  const chain = chainOf(thrown);
  const silent = chain.find((each) => each instanceof NoAnswer);
  const words = (silent === undefined ? chain : [silent]).map(({ message }) => message);
  const own = thrown as { error?: unknown; error_description?: unknown };
  const said = [own.error, own.error_description].filter((each) => typeof each === 'string');
  return [...new Set([...words, ...said])]
    .join(': ')
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, ' ')
    .slice(0, 300);
}
