import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { readPki, writePrivate } from './files.ts';

/** Beside a host's certificates, and where the CA is. */
export const SITE_SECRET = 'site.secret';
const SECRET_BYTES = 32;

/**
 * The secret that the hosts of a site share: it names what their caches hold of guests' memory, and opens nothing.
 * Made where the CA has none yet, so that a site of an older version gets one.
 */
export function siteSecretOf(caDir: string): string {
  const file = path.join(caDir, SITE_SECRET);
  if (!existsSync(file)) writePrivate(file, `${randomBytes(SECRET_BYTES).toString('hex')}\n`);
  return readPki(file, 'Remove it, and issue all hosts’ certificates anew.').trim();
}
