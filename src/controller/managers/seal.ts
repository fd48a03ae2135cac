import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { writePrivate } from '../../pki/files.ts';
import { godwitError } from '../../errors.ts';

/** Passwords at rest: AES-256-GCM under a key in a file outside of the database. */

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

const keyFile = z.object({
  current: z.string(),
  keys: z.record(z.string().max(64), z.base64().max(44)),
});
type KeyFile = z.infer<typeof keyFile>;

export interface SealedSecret {
  readonly key: string;
  readonly box: string;
}

/** The keys in one controller's file. GODWIT_MANAGER_KEY if they cannot be used. */
export class KeyRing {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** `about`: the owner of the secret, required to open it. */
  seal(secret: string, about: string): SealedSecret {
    const { current, keys } = this.#read() ?? this.#write(newKeys());
    return { key: current, box: sealed(secret, about, Buffer.from(keys[current] ?? '', 'base64')) };
  }

  open({ key, box }: SealedSecret, about: string): string {
    const found = this.#read()?.keys[key];
    if (found === undefined) throw this.#bad(`it has no key ${key}`);
    const opened = unsealed(box, about, Buffer.from(found, 'base64'));
    if (opened === undefined) throw this.#bad('what is kept was not sealed by it, or was changed');
    return opened;
  }

  /**
   * Creates a key; `work` seals everything with it, then the others are removed. On failure all keys stay, and the next
   * exchange finishes this one.
   */
  async exchange<T>(work: () => Promise<T>): Promise<T> {
    const fresh = newKeys();
    this.#write({ current: fresh.current, keys: { ...this.#read()?.keys, ...fresh.keys } });
    const done = await work();
    this.#write(fresh);
    return done;
  }

  #read(): KeyFile | undefined {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw this.#bad('it cannot be read', cause);
    }
    try {
      const parsed = keyFile.parse(JSON.parse(text));
      if (parsed.keys[parsed.current] !== undefined) return parsed;
    } catch (cause) {
      throw this.#bad('it is damaged', cause);
    }
    throw this.#bad('it lacks its current key');
  }

  #write(keys: KeyFile): KeyFile {
    writePrivate(this.#file, `${JSON.stringify(keys)}\n`);
    return keys;
  }

  #bad(what: string, cause?: unknown): Error {
    return godwitError('GODWIT_MANAGER_KEY', { file: this.#file, what }, { cause });
  }
}

function newKeys(): KeyFile {
  const current = randomBytes(6).toString('hex');
  return { current, keys: { [current]: randomBytes(KEY_BYTES).toString('base64') } };
}

function sealed(secret: string, about: string, key: Buffer): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(about, 'utf8'));
  const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64');
}

function unsealed(box: string, about: string, key: Buffer): string | undefined {
  const all = Buffer.from(box, 'base64');
  if (all.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const nonce = all.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(about, 'utf8'));
  decipher.setAuthTag(all.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  try {
    const text = [decipher.update(all.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()];
    return Buffer.concat(text).toString('utf8');
  } catch {
    return undefined;
  }
}
