import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { AgentConfig } from '../config.ts';
import { godwitError } from '../errors.ts';
import type { Credentials, Pair } from '../rpc/tls.ts';
import { Fleet, pkiDirOf } from './fleet.ts';

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
  const caFile = path.join(directory, 'ca.crt');
  const ca = read(caFile);
  const authority = authorityIn(caFile, ca);
  const current = livePair(directory, files, authority);
  checkIssuer(path.join(directory, files.cert), current().cert, caFile, authority);
  return { ca, ...current(), current, refuses: (shown) => fleet.refuses(shown) };
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

/** Read again whenever one of the files is another one. A pair that is of no use does not take the place of one that is. */
function livePair(directory: string, files: PairFiles, ca: X509Certificate): () => Pair {
  let mark = markOf(directory, files);
  let pair = readPair(directory, files);
  const { subject } = new X509Certificate(pair.cert);
  return () => {
    const now = markOf(directory, files);
    if (now === mark) return pair;
    mark = now;
    try {
      const found = readPair(directory, files);
      const cert = new X509Certificate(found.cert);
      if (cert.subject === subject && cert.verify(ca.publicKey)) pair = found;
    } catch {
      // A file that is half written is read again once it has changed.
    }
    return pair;
  };
}

function authorityIn(file: string, ca: string): X509Certificate {
  checkKind(file, ca, 'certificate', (pem) => new X509Certificate(pem));
  return new X509Certificate(ca);
}

/** GODWIT_PKI for a certificate that no other host of the fleet would take. */
function checkIssuer(file: string, cert: string, caFile: string, ca: X509Certificate): void {
  if (new X509Certificate(cert).verify(ca.publicKey)) return;
  throw godwitError('GODWIT_PKI', { what: `${file} is not of the CA of ${caFile}` });
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
  const marks = [files.cert, files.key].map((name) => {
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
