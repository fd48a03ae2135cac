import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { AgentConfig } from '../config.ts';
import { godwitError, type GodwitError } from '../errors.ts';
import type { ShownCertificate } from '../protocol/peer/fleet.ts';
import type { Credentials, Pair } from '../rpc/tls.ts';
import { issuerAmong, parseBundle, type Authority } from '../rpc/trust-bundle.ts';
import { Fleet, pkiDirOf } from './fleet.ts';

/** The CAs that are trusted, in each directory of certificates. */
export const CA_FILE = 'ca.crt';
/** Of a host, in its `pkiDir`. */
export const HOST_CERT = 'host.crt';
export const HOST_KEY = 'host.key';
/** The certificate of a key that has just been put in place, until it has the name `host.crt` itself. */
const NEXT_CERT = 'host.crt.next';

/** The names of a certificate, its key, and the certificate that is to follow. */
export interface PairFiles {
  readonly cert: string;
  readonly key: string;
  readonly next: string;
}

/** Of a controller. */
export const CONTROLLER_STEM = 'controller';
/** Of a relay. */
export const RELAY_STEM = 'relay';

export const HOST_FILES: PairFiles = { cert: HOST_CERT, key: HOST_KEY, next: NEXT_CERT };

/** Those of a person: `operator.crt` and so on. */
export function filesOf(stem: string): PairFiles {
  return { cert: `${stem}.crt`, key: `${stem}.key`, next: `${stem}.crt.next` };
}

/**
 * This host’s certificate and key as they lie on disk at each moment, for its agent and its movers, and who of its fleet
 * counts. GODWIT_PKI when they cannot be read or do not belong together.
 */
export function hostCredentials(
  config: AgentConfig,
  fleet: Pick<Fleet, 'refuses'> = new Fleet(config),
): Credentials {
  const { name: self, relays } = config;
  const live = liveCredentials(pkiDirOf(config), HOST_FILES, fleet);
  return relays.length === 0 ? live : { ...live, relayed: { self, relays } };
}

/** The same of any process that lives long and has its certificate in `directory`. */
export function liveCredentials(
  directory: string,
  files: PairFiles,
  fleet: Pick<Fleet, 'refuses'>,
): Credentials {
  const current = liveTexts(directory, files);
  const refuses = (shown: ShownCertificate): GodwitError | undefined =>
    issuedByOther(shown, current().authorities) ?? fleet.refuses(shown);
  const { ca, cert, key } = current();
  return { ca, cert, key, current, refuses };
}

/**
 * A connection that stands outlives the CA of its certificate: once a rotation has removed that CA, the holder is refused.
 * Names are enough here, since the chain was verified when the connection was made.
 */
function issuedByOther(
  { name: peer, issuer }: ShownCertificate,
  authorities: readonly Authority[],
): GodwitError | undefined {
  if (issuer === undefined) return undefined;
  const isTrusted = authorities.some(({ certificate }) =>
    certificate.subject.split('\n').includes(`CN=${issuer}`),
  );
  if (isTrusted) return undefined;
  const reason = 'it is not from our CA any more';
  return godwitError('GODWIT_PEER_UNTRUSTED', { peer, reason });
}

/**
 * The certificate and key of a host, which are two files and change one after the other: the certificate that is for
 * the key. GODWIT_PKI where neither `host.crt` nor the one that is to follow it is.
 */
export function readPair(directory: string, files: PairFiles = HOST_FILES): Pair {
  const key = read(path.join(directory, files.key));
  const cert = read(path.join(directory, files.cert));
  checkKind(path.join(directory, files.key), key, 'private key', createPrivateKey);
  checkKind(
    path.join(directory, files.cert),
    cert,
    'certificate',
    (pem) => new X509Certificate(pem),
  );
  if (belong(cert, key)) return { cert, key };
  const next = path.join(directory, files.next);
  if (statSync(next, { throwIfNoEntry: false })?.isFile() === true) {
    const following = read(next);
    if (belong(following, key)) return { cert: following, key };
  }
  const what = `${path.join(directory, files.cert)} is not the certificate of ${files.key}`;
  throw godwitError('GODWIT_PKI', { what });
}

type Texts = Pair & { readonly ca: string; readonly authorities: readonly Authority[] };

/**
 * Read again whenever one of the files is another one. Texts that are of no use, or do not belong together, do not take the
 * place of those that are.
 */
function liveTexts(directory: string, files: PairFiles): () => Texts {
  let mark = markOf(directory, files);
  let texts = readTexts(directory, files);
  const { subject } = new X509Certificate(texts.cert);
  return () => {
    const now = markOf(directory, files);
    if (now === mark) return texts;
    mark = now;
    try {
      const found = readTexts(directory, files);
      if (new X509Certificate(found.cert).subject === subject) texts = found;
    } catch {
      // A file that is half written is read again once it has changed.
    }
    return texts;
  };
}

/** GODWIT_PKI for a certificate that no other host of the fleet would take. */
function readTexts(directory: string, files: PairFiles): Texts {
  const caFile = path.join(directory, CA_FILE);
  const ca = read(caFile);
  const authorities = parseBundle(ca, caFile);
  const pair = readPair(directory, files);
  if (issuerAmong(authorities, new X509Certificate(pair.cert)) !== undefined)
    return { ...pair, ca, authorities };
  const what = `${path.join(directory, files.cert)} is not of the CA of ${caFile}`;
  throw godwitError('GODWIT_PKI', { what });
}

/** The CAs that a directory of certificates trusts; GODWIT_PKI if the file cannot be used. */
export function readAuthorities(directory: string): readonly [Authority, ...Authority[]] {
  const file = path.join(directory, CA_FILE);
  return parseBundle(read(file), file);
}

/** GODWIT_PKI for a file that holds something else. */
function checkKind(
  file: string,
  text: string,
  kind: string,
  parse: (pem: string) => unknown,
): void {
  try {
    parse(text);
  } catch (cause) {
    const what = text.trim() === '' ? `${file} is empty` : `${file} is no ${kind} in PEM`;
    throw godwitError('GODWIT_PKI', { what }, { cause });
  }
}

function belong(cert: string, key: string): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

function markOf(directory: string, files: PairFiles): string {
  const marks = [files.cert, files.key, CA_FILE].map((name) => {
    const stat = statSync(path.join(directory, name), { bigint: true, throwIfNoEntry: false });
    return stat === undefined ? 'none' : `${stat.ino}-${stat.mtimeNs}-${stat.size}`;
  });
  return marks.join(' ');
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw godwitError('GODWIT_PKI', { what: `cannot read ${file}` }, { cause });
  }
}
