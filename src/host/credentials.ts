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
export const NEXT_CERT = 'host.crt.next';

/** The names of a certificate, its key, and the certificate that is to follow. */
export interface PairFiles {
  readonly cert: string;
  readonly key: string;
  readonly next: string;
}

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
  const directory = pkiDirOf(config);
  const caFile = path.join(directory, 'ca.crt');
  const ca = read(caFile);
  const current = livePair(directory, authorityIn(caFile, ca));
  return { ca, ...current(), current, refuses: (shown) => fleet.refuses(shown) };
}

/**
 * The certificate and key of a host, which are two files and change one after the other: the certificate that is for
 * the key. GODWIT_PKI where neither `host.crt` nor the one that is to follow it is.
 */
export function readPair(directory: string, files: PairFiles = HOST_FILES): Pair {
  const key = read(path.join(directory, files.key));
  const cert = read(path.join(directory, files.cert));
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
function livePair(directory: string, ca: X509Certificate): () => Pair {
  let mark = markOf(directory);
  let pair = readPair(directory);
  const { subject } = new X509Certificate(pair.cert);
  return () => {
    const now = markOf(directory);
    if (now === mark) return pair;
    mark = now;
    try {
      const found = readPair(directory);
      const cert = new X509Certificate(found.cert);
      if (cert.subject === subject && cert.verify(ca.publicKey)) pair = found;
    } catch {
      // What is half written is looked at again once it has changed.
    }
    return pair;
  };
}

function authorityIn(file: string, ca: string): X509Certificate {
  try {
    return new X509Certificate(ca);
  } catch (cause) {
    throw godwitError('GODWIT_PKI', { what: `${file} is not a certificate` }, { cause });
  }
}

function belong(cert: string, key: string): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

function markOf(directory: string): string {
  const marks = [HOST_CERT, HOST_KEY].map((name) => {
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
