import { createHash } from 'node:crypto';

/** The answer to a target that asks who logs in (CHAP: RFC 1994, in iSCSI RFC 7143). Pure. */

/**
 * As iSCSI numbers them, in the order in which they are offered. MD5 is first: every target means the same by 5, and tgt
 * takes SHA-1 for 7. What is proved so is who reads, on a network that is trusted with the disks themselves.
 */
const HASHES: Readonly<Record<string, string>> = { '7': 'sha256', '6': 'sha1', '5': 'md5' };
export const CHAP_ALGORITHMS = ['5', '6', '7'].join(',');
const MAX_CHALLENGE_BYTES = 1024;

export interface Login {
  readonly user: string;
  readonly password: string;
}

/** The keys that answer a challenge. Throws where it is none that was offered. */
export function chapAnswer(
  { user, password }: Login,
  asked: ReadonlyMap<string, string>,
): { readonly CHAP_N: string; readonly CHAP_R: string } {
  const hash = HASHES[asked.get('CHAP_A') ?? ''];
  if (hash === undefined)
    throw new Error('it chose an algorithm for its login (CHAP_A) that was not offered');
  const id = Number(asked.get('CHAP_I') ?? Number.NaN);
  const challenge = bytesOf(asked.get('CHAP_C') ?? '');
  if (!Number.isInteger(id) || id < 0 || id > 255 || challenge === undefined) {
    throw new Error('its challenge for the login (CHAP_I, CHAP_C) is malformed');
  }
  const response = createHash(hash)
    .update(Buffer.from([id]))
    .update(password)
    .update(challenge)
    .digest('hex');
  return { CHAP_N: user, CHAP_R: `0x${response}` };
}

/** A binary value as iSCSI writes it: in hexadecimal or base64. */
function bytesOf(text: string): Buffer | undefined {
  const [, hex] = /^0[xX]((?:[0-9a-fA-F]{2})+)$/.exec(text) ?? [];
  const [, base] = /^0[bB]([A-Za-z0-9+/]+=*)$/.exec(text) ?? [];
  const found = hex === undefined ? Buffer.from(base ?? '', 'base64') : Buffer.from(hex, 'hex');
  return found.length > 0 && found.length <= MAX_CHALLENGE_BYTES ? found : undefined;
}
