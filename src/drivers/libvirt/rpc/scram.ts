import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

/** Client of SCRAM (RFC 5802, RFC 7677) without channel binding: the password does not leave this host. */

const derived = promisify(pbkdf2);

/** SASL mechanism names, best first. */
export const SCRAM_HASHES = {
  'SCRAM-SHA-512': 'sha512',
  'SCRAM-SHA-256': 'sha256',
  'SCRAM-SHA-1': 'sha1',
} as const;
export type ScramMechanism = keyof typeof SCRAM_HASHES;

/** RFC 7677 requires at least 4096; more than the maximum would keep this process busy. */
const [MIN_ROUNDS, MAX_ROUNDS] = [4096, 1_000_000];
/** Base64 of "n,,": no channel binding. */
const NO_BINDING = 'biws';

export interface Secret {
  readonly user: string;
  readonly password: string;
}

export class ScramError extends Error {
  override readonly name = 'ScramError';
}

export function firstMessage({ user }: Pick<Secret, 'user'>, nonce: string): string {
  return `n,,${bare(user, nonce)}`;
}

function bare(user: string, nonce: string): string {
  const name = user.normalize('NFKC').replaceAll('=', '=3D').replaceAll(',', '=2C');
  return `n=${name},r=${nonce}`;
}

/** Answer to the server's first message, and the expected signature of its last one. */
export async function finalMessage(
  mechanism: ScramMechanism,
  { user, password }: Secret,
  { nonce, challenge }: { readonly nonce: string; readonly challenge: string },
): Promise<{ readonly message: string; readonly signature: Buffer }> {
  const { r = '', s = '', i = '' } = attributesOf(challenge);
  if (!r.startsWith(nonce) || r.length === nonce.length)
    throw new ScramError('its nonce is not ours');
  const rounds = Number(i);
  if (!Number.isInteger(rounds) || rounds < MIN_ROUNDS || rounds > MAX_ROUNDS) {
    throw new ScramError(`it asks for ${i.slice(0, 16)} rounds`);
  }
  const hash = SCRAM_HASHES[mechanism];
  const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest();
  const { length } = createHash(hash).digest();
  const words = password.normalize('NFKC');
  const salted = await derived(words, Buffer.from(s, 'base64'), rounds, length, hash);
  const clientKey = hmac(salted, 'Client Key');
  const stored = createHash(hash).update(clientKey).digest();
  const unproved = `c=${NO_BINDING},r=${r}`;
  const all = `${bare(user, nonce)},${challenge},${unproved}`;
  const signed = hmac(stored, all);
  const proof = clientKey.map((byte, index) => byte ^ (signed[index] ?? 0));
  const message = `${unproved},p=${Buffer.from(proof).toString('base64')}`;
  return { message, signature: hmac(hmac(salted, 'Server Key'), all) };
}

/** True if the server's last message proves that it has the password. */
export function isProved(text: string, signature: Buffer): boolean {
  const said = Buffer.from(attributesOf(text).v ?? '', 'base64');
  return said.length === signature.length && timingSafeEqual(said, signature);
}

function attributesOf(text: string): Partial<Record<'r' | 's' | 'i' | 'v', string>> {
  const parts = text.split(',').map((part) => [part.slice(0, 1), part.slice(2)] as const);
  return Object.fromEntries(parts);
}
