import { readFileSync, statSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createSecureContext, type TlsOptions } from 'node:tls';
import { godwitError, toGodwitError } from '../../errors.ts';
import { listenTls, type Listening, type ListenOptionsOf } from '../../rpc/listen.ts';
import { splitUrl } from '../../rpc/routes.ts';
import { serverTls, type Credentials, type Pair } from '../../rpc/tls.ts';
import type { WebConfig } from '../config.ts';
import { CALLBACK_PATH } from '../oidc/config.ts';
import type { Files } from './files.ts';
import { SECURITY_HEADERS } from './headers.ts';
import { WEB_LIMITS } from './limits.ts';
import { SIGN_IN_PATH } from './sign-in.ts';

const API = /^\/(v1|hello|health|healthz|readyz|metrics|openapi\.json)(\/|$)/;

export interface WebDependencies {
  readonly config: WebConfig;
  readonly credentials: Credentials;
  readonly api: RequestListener;
  readonly signIn: RequestListener | undefined;
  readonly files: Files;
  readonly docs: Files;
  readonly listening: ListenOptionsOf;
}

export async function listenWeb(deps: WebDependencies): Promise<Listening> {
  const { config, credentials, listening } = deps;
  const shown = config.certFile === undefined ? credentials : filesOf(config);
  const options = { ...listening, limits: WEB_LIMITS, tls: webTls };
  return listenTls(webListener(deps), { address: config.address }, shown, options);
}

function webListener(deps: WebDependencies): RequestListener {
  const { api, signIn, files, docs } = deps;
  const { log } = deps.listening;
  return (request, response) => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    const { path: place } = splitUrl(request.url);
    if (signIn !== undefined && (place === SIGN_IN_PATH || place === CALLBACK_PATH))
      return signIn(request, response);
    if (API.test(place)) return api(request, response);
    const isDocs = place === docs.base || place.startsWith(`${docs.base}/`);
    const pages = isDocs ? docs : files;
    pages.answer(request, response, WEB_LIMITS.stallMs).catch((thrown: unknown) => {
      log.error({ error: toGodwitError(thrown), place }, 'file of the web listener not sent');
      response.destroy();
    });
  };
}

/** No client certificates. Allows TLS 1.2, the highest version of many programs. */
function webTls(credentials: Credentials): TlsOptions {
  const { cert, key, secureOptions, ALPNProtocols } = serverTls(credentials);
  const shown = credentials.ca === '' ? (credentials.current?.() ?? credentials).cert : cert;
  return { cert: shown, key, secureOptions, ALPNProtocols, minVersion: 'TLSv1.2' };
}

/** The configured certificate and chain; read again when a file changes. */
function filesOf({ certFile = '', keyFile = '' }: WebConfig): Credentials {
  const mark = (): string => [certFile, keyFile].map(markOf).join(' ');
  let known = mark();
  let pair = readPair(certFile, keyFile);
  const current = (): Pair => {
    const now = mark();
    if (now === known) return pair;
    known = now;
    try {
      pair = readPair(certFile, keyFile);
    } catch {
      // A half-written file is read again after its next change.
    }
    return pair;
  };
  return { ca: '', ...pair, current };
}

function markOf(file: string): string {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? 'none' : `${found.ino}-${found.mtimeNs}-${found.size}`;
}

function readPair(certFile: string, keyFile: string): Pair {
  const [cert, key] = [certFile, keyFile].map((file) => {
    try {
      return readFileSync(file, 'utf8');
    } catch (cause) {
      throw godwitError('GODWIT_CONFIG', { file, what: 'cannot be read' }, { cause });
    }
  });
  try {
    createSecureContext({ cert, key });
  } catch (cause) {
    const what = `is no certificate in PEM for the key of ${keyFile}`;
    throw godwitError('GODWIT_CONFIG', { file: certFile, what }, { cause });
  }
  return { cert: cert ?? '', key: key ?? '' };
}
