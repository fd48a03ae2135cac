import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { godwitError } from '../errors.ts';
import { HOST_FILES, readAuthorities, readPair, type PairFiles } from '../host/credentials.ts';
import { issuerAmong } from '../rpc/trust-bundle.ts';
import { renameSynced } from '../system/files/whole-file.ts';
import { writePrivate } from './files.ts';
import { ownIdentity } from './own-identity.ts';

/**
 * The files of a renewal, in a host’s `pkiDir` or a person’s folder. A new key and the request for it are kept until they have a certificate:
 * an answer that is lost is asked for again with the same key, which the CA knows it by.
 */
const KEY = 'renewal.key';
const REQUEST = 'renewal.csr';

/** The request for the key that is to come, made where there is none. */
export async function pendingRequest(directory: string, name: string): Promise<string> {
  const [keyFile, requestFile] = [path.join(directory, KEY), path.join(directory, REQUEST)];
  // The request is written last, so that it is never without its key.
  if (existsSync(keyFile) && existsSync(requestFile)) return readFileSync(requestFile, 'utf8');
  const { makeRequest } = await import('./x509.ts');
  const { request, key } = await makeRequest(name);
  dropPending(directory);
  writePrivate(keyFile, key);
  writePrivate(requestFile, request);
  return request;
}

/** That key is not needed. */
export function dropPending(directory: string): void {
  rmSync(path.join(directory, REQUEST), { force: true });
  rmSync(path.join(directory, KEY), { force: true });
}

/**
 * Puts the new key and its certificate in the place of those of before. Whoever reads them finds a pair at each moment:
 * see readPair. GODWIT_PKI, and nothing changed, when the certificate is not ours for that key.
 */
export function takeIntoUse(
  directory: string,
  certificate: string,
  files: PairFiles = HOST_FILES,
): void {
  const key = readFileSync(path.join(directory, KEY), 'utf8');
  checkNew(path.join(directory, files.cert), certificate, key);
  writePrivate(path.join(directory, files.next), certificate);
  renameSynced(path.join(directory, KEY), path.join(directory, files.key));
  renameSynced(path.join(directory, files.next), path.join(directory, files.cert));
  rmSync(path.join(directory, REQUEST), { force: true });
}

/** Ends what a process that was ended between the two files has begun. */
export function settlePair(directory: string, files: PairFiles = HOST_FILES): void {
  const file = path.join(directory, files.cert);
  const next = path.join(directory, files.next);
  if (!existsSync(next)) return;
  const { cert } = readPair(directory, files);
  if (cert === readFileSync(next, 'utf8')) renameSynced(next, file);
  else rmSync(next, { force: true });
}

function checkNew(file: string, certificate: string, key: string): void {
  const wrong = (why: string): Error =>
    godwitError('GODWIT_PKI', { what: `the CA’s new certificate cannot be used: ${why}` });
  const before = ownIdentity(file, readFileSync(file, 'utf8'));
  const after = ownIdentity('the new certificate', certificate);
  if (after.name !== before.name || after.role !== before.role) {
    throw wrong(`it is for ${after.name} (${after.role})`);
  }
  const parsed = new X509Certificate(certificate);
  if (!parsed.checkPrivateKey(createPrivateKey(key))) throw wrong('it is for another key');
  if (issuerAmong(readAuthorities(path.dirname(file)), parsed) === undefined)
    throw wrong('it is not signed by our CA');
}
