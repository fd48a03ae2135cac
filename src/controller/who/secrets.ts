import { createHash, randomBytes } from 'node:crypto';

/** What a secret is for. It begins with that, so that a secret which leaked is known for what it is. */
type Kind = 'gdw' | 'gds';

/** 256 random bits: nobody guesses them, so that one plain hash is enough to keep them by. */
export function newSecret(kind: Kind): string {
  return `${kind}_${randomBytes(32).toString('base64url')}`;
}

/** The hash by which a secret is stored and found. */
export function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
