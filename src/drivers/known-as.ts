import { createHash } from 'node:crypto';
import { guestName } from '../protocol/names.ts';

/** So that it, a dash and the hash stay within the 63 characters of a guest's name. */
const KEPT = 52;

/**
 * By which name a host knows a guest that calls itself `own`: the same where that is a name for hosts, else what of it is,
 * with a hash that keeps it apart from others. Every host that meets the guest makes the same of it. Pure.
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
