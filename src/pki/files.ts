import { readFileSync } from 'node:fs';
import path from 'node:path';
import { godwitError } from '../errors.ts';
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

/** The CA's certificate and key. */
export function readAuthority(caDir: string): { cert: string; key: string } {
  return {
    cert: readPki(path.join(caDir, 'ca.crt'), HINT),
    key: readPki(path.join(caDir, 'ca.key'), HINT),
  };
}
