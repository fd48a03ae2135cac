import { createHash } from 'node:crypto';
import { guestName } from '../protocol/names.ts';

/** The name with a dash and the hash has at most 63 characters. */
const KEPT = 52;

/**
 * Host's name of a guest that calls itself `own`: the same if it is valid, otherwise its valid characters with a
 * hash. Every host derives the same name. Pure.
 */
export function knownAs(own: string): string {
  if (guestName.safeParse(own).success) return own;
  const hash = createHash('sha256').update(own).digest('hex').slice(0, 8);
  const plain = own
    .normalize('NFKD')
    .replaceAll(/\p{Mark}/gu, '')
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, KEPT)
    .replace(/[^A-Za-z0-9]{1,52}$/, '');
  return plain === '' ? `guest-${hash}` : `${plain}-${hash}`;
}
