import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { godwitError } from '../errors.ts';
import { CA_FILE } from '../host/credentials.ts';
import { bundleText, parseBundle, type Authority } from '../rpc/trust-bundle.ts';
import { makeDirSynced, writeWhole } from '../system/files/whole-file.ts';

const HINT = 'Make a CA with `godwit pki init`, or name its directory.';

/** Makes a directory that only its owner may enter. */
export function makePrivateDir(directory: string): void {
  makeDirSynced(directory);
}

/** Writes a file that only its owner may read, whole or not at all: it is on the disk when this returns. */
export function writePrivate(file: string, text: string): void {
  makePrivateDir(path.dirname(file));
  writeWhole(file, text, `${file}.${process.pid}.tmp`);
}

/** A file's text; GODWIT_PKI with `hint` when it cannot be read. */
export function readPki(file: string, hint: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw godwitError('GODWIT_PKI', { what: `cannot read ${file}` }, { cause, hint });
  }
}

export const CA_KEY = 'ca.key';

/** A CA as it is in its directory. */
export interface IssuingAuthority {
  /** The certificate of the key: the CA that issues. */
  readonly cert: string;
  readonly key: string;
  readonly fingerprint: string;
  /** All CAs that members trust, the issuing one first. */
  readonly authorities: readonly Authority[];
  /** The same, as a `ca.crt`. */
  readonly bundle: string;
}

/** The CA's certificate and key. Of several certificates, the key names the one that issues. */
export function readAuthority(caDir: string): IssuingAuthority {
  const [file, keyFile] = [path.join(caDir, CA_FILE), path.join(caDir, CA_KEY)];
  const found = parseBundle(readPki(file, HINT), file);
  const key = readPki(keyFile, HINT);
  const issuing = found.find(({ certificate }) => isKeyOf(certificate, key, keyFile));
  if (issuing === undefined) {
    const hint = 'Put back ca.crt and ca.key from one backup of this directory.';
    const what = `${keyFile} is not the key of a certificate in ${file}`;
    throw godwitError('GODWIT_PKI', { what }, { hint });
  }
  const authorities = [issuing, ...found.filter((each) => each !== issuing)];
  const { pem: cert, fingerprint } = issuing;
  return { cert, key, fingerprint, authorities, bundle: bundleText(authorities) };
}

function isKeyOf(certificate: Authority['certificate'], key: string, keyFile: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw godwitError('GODWIT_PKI', { what: `${keyFile} is no private key in PEM` }, { cause });
  }
}
