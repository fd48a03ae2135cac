import { createHmac, hash } from 'node:crypto';
import { PAGE_BYTES } from '../codec/item.ts';
import { ID_BYTES } from '../codec/settings.ts';

/** Sharing of a guest's cached contents. A shared cache reveals to others that some guest has a page. */
export type Sharing =
  | { readonly with: 'none' }
  | { readonly with: 'guest'; readonly guest: string }
  | { readonly with: 'tenant'; readonly tenant: string }
  | { readonly with: 'host' };

const KEY_BYTES = 32;

/**
 * Names contents in one circle of guests: SHA-256 over the circle's key, which is derived from the site's
 * secret, and the page. All hosts of the site use the same names, two circles never do, and a name reveals
 * nothing without the secret.
 *
 * Pages are stored per peer: a peer learns only of pages exchanged with it, never of other guests.
 */
export class Scope {
  /** Identifies the circle in index names and in the agreement of peers; reveals nothing about the key. */
  readonly tag: string;
  /** Tag of segments with contents exchanged with that peer; without a peer, contents that no peer learns of. */
  readonly peerTag: string;
  /** Seed of the checksum on disk, so that no guest can forge a valid page. */
  readonly checkSeed: bigint;
  readonly #keyed = Buffer.alloc(KEY_BYTES + PAGE_BYTES);

  constructor(secret: Uint8Array, sharing: Exclude<Sharing, { with: 'none' }>, peer?: string) {
    if (secret.length < KEY_BYTES) throw new RangeError(`a secret of ${secret.length} bytes`);
    const label = JSON.stringify(
      sharing.with === 'guest'
        ? ['guest', sharing.guest]
        : sharing.with === 'tenant'
          ? ['tenant', sharing.tenant]
          : ['host'],
    );
    createHmac('sha256', secret).update(`godwit wire cache ${label}`).digest().copy(this.#keyed);
    const key = this.#keyed.subarray(0, KEY_BYTES);
    const tagOf = (of: string): string =>
      createHmac('sha256', key).update(`godwit wire cache ${of}`).digest('hex').slice(0, 16);
    this.tag = tagOf('tag');
    this.peerTag = tagOf(`peer ${JSON.stringify(peer ?? null)}`);
    this.checkSeed = createHmac('sha256', key)
      .update('godwit wire cache check')
      .digest()
      .readBigUInt64LE();
  }

  /** ID_BYTES of the keyed hash. All pages have the same length, so nothing can be appended. */
  nameOf(page: Uint8Array): Buffer {
    this.#keyed.set(page, KEY_BYTES);
    // Hashed as a string, because a buffer per page would burden the garbage collector.
    const name = Buffer.allocUnsafe(ID_BYTES);
    name.write(hash('sha256', this.#keyed, 'latin1'), 0, ID_BYTES, 'latin1');
    return name;
  }
}
