import {
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { godwitError } from '../../errors.ts';

const HINT = 'Make a CA with `godwit pki init`, or name its directory.';

/** Makes a directory that only its owner may enter. */
export function makePrivateDir(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
}

/** Writes a file that only its owner may read, whole or not at all. */
export function writePrivate(file: string, text: string): void {
  makePrivateDir(path.dirname(file));
  const temporary = `${file}.${process.pid}.tmp`;
  const fd = openSync(temporary, 'w', 0o600);
  try {
    fchmodSync(fd, 0o600);
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, file);
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
