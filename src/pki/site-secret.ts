import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { counts, earlierFile } from '../host/wire.ts';
import { readPki, writePrivate } from './files.ts';
import { changeList } from './fleet-list.ts';

/** Beside a host's certificates, and where the CA is. */
export const SITE_SECRET = 'site.secret';
const SECRET_BYTES = 32;
/** Hexadecimal digits: enough that nobody makes another secret of the same id. */
const ID_DIGITS = 32;

/**
 * The secret that the hosts of a site share: it names what their caches hold of guests' memory, and opens nothing.
 * Made where the CA has none yet, so that a site of an older version gets one.
 */
export function siteSecretOf(caDir: string): string {
  const file = path.join(caDir, SITE_SECRET);
  if (!existsSync(file)) writeSecret(caDir, newSecret());
  return readPki(file, 'Remove it, and issue all hosts’ certificates anew.').trim();
}

/**
 * Makes another secret and has the fleet's list name it, so that every host fetches it; answers the number of that list.
 * GODWIT_PKI where there is no CA.
 */
export function rotateSecret(caDir: string, nowMs: number): { number: number; id: string } {
  const secret = newSecret();
  const id = secretId(secret);
  readPki(path.join(caDir, 'ca.key'), 'Run it where the CA is.');
  // The list last: whoever reads it finds the secret that it names.
  replaceSecret(caDir, secret);
  const { list } = changeList(caDir, (before) => ({ ...before, secret: id }), nowMs);
  return { number: list.number, id };
}

/** Names a secret without reporting it. */
export function secretId(secret: string): string {
  return createHash('sha256')
    .update(`godwit site secret ${secret}`)
    .digest('hex')
    .slice(0, ID_DIGITS);
}

/** What lies in a directory; undefined where nothing does. */
export function secretIn(directory: string): string | undefined {
  try {
    return readFileSync(path.join(directory, SITE_SECRET), 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** The one that is there goes on to count for a while beside the new one. */
export function replaceSecret(directory: string, secret: string): void {
  const before = secretIn(directory);
  const file = path.join(directory, SITE_SECRET);
  if (before !== undefined && before !== secret) writePrivate(earlierFile(file), `${before}\n`);
  writeSecret(directory, secret);
}

/** Removes what was replaced so long ago that it counts no more. */
export function dropEarlier(directory: string, nowMs: number): void {
  const file = earlierFile(path.join(directory, SITE_SECRET));
  if (existsSync(file) && !counts(file, nowMs)) rmSync(file, { force: true });
}

export function writeSecret(directory: string, secret: string): void {
  writePrivate(path.join(directory, SITE_SECRET), `${secret}\n`);
}

function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString('hex');
}
