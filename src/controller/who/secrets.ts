import { createHash, randomBytes } from 'node:crypto';

/** Prefix that identifies a leaked secret's purpose. */
type Kind = 'gdw' | 'gds';

/** 256 random bits cannot be guessed, so a plain hash is enough. */
export function newSecret(kind: Kind): string {
  return `${kind}_${randomBytes(32).toString('base64url')}`;
}

export function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
