import { createHmac, hash } from 'node:crypto';
import { PAGE_BYTES } from '../codec/item.ts';
import { ID_BYTES } from '../codec/settings.ts';

/** With whom a guest shares cached contents. A cache shared with others tells them that somebody has a page. */
export type Sharing =
  | { readonly with: 'none' }
  | { readonly with: 'guest'; readonly guest: string }
  | { readonly with: 'tenant'; readonly tenant: string }
  | { readonly with: 'host' };

const KEY_BYTES = 32;

/**
 * Names contents for one circle of guests: SHA-256 over the circle's key and the page. The key is made of the
 * site's secret, which all its hosts hold, so that two hosts name alike, two circles never do, and nobody
 * without the secret can tell from a name what it is of.
 */
export class Scope {
  /** Tells circles apart in file names and in what peers agree on; says nothing of the key. */
  readonly tag: string;
  /** Seed of the checksum of what lies on disk, so that no guest can make a page that looks sound. */
  readonly checkSeed: bigint;
  readonly #keyed = Buffer.alloc(KEY_BYTES + PAGE_BYTES);

  constructor(secret: Uint8Array, sharing: Exclude<Sharing, { with: 'none' }>) {
    if (secret.length < KEY_BYTES) throw new RangeError(`a secret of ${secret.length} bytes`);
    const label = JSON.stringify(
      sharing.with === 'guest'
        ? ['guest', sharing.guest]
        : sharing.with === 'tenant'
          ? ['tenant', sharing.tenant]
          : ['host'],
    );
    createHmac('sha256', secret).update(`godwit wire cache ${label}`).digest().copy(this.#keyed);
    this.tag = createHmac('sha256', this.#keyed.subarray(0, KEY_BYTES))
      .update('godwit wire cache tag')
      .digest('hex')
      .slice(0, 16);
    this.checkSeed = createHmac('sha256', this.#keyed.subarray(0, KEY_BYTES))
      .update('godwit wire cache check')
      .digest()
      .readBigUInt64LE();
  }

  /** ID_BYTES of the keyed hash. All pages are of one length, so nothing can be appended to one. */
  nameOf(page: Uint8Array): Buffer {
    this.#keyed.set(page, KEY_BYTES);
    // As a string: a buffer of its own for each is what the garbage collector would be busy with.
    const name = Buffer.allocUnsafe(ID_BYTES);
    name.write(hash('sha256', this.#keyed, 'latin1'), 0, ID_BYTES, 'latin1');
    return name;
  }
}
