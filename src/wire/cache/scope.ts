import { createHmac, hash } from 'node:crypto';
import { PAGE_BYTES } from '../codec/item.ts';
import { ID_BYTES } from '../codec/settings.ts';

/** With whom a guest shares cached contents. A cache shared with others reveals to them that somebody has a page. */
export type Sharing =
  | { readonly with: 'none' }
  | { readonly with: 'guest'; readonly guest: string }
  | { readonly with: 'tenant'; readonly tenant: string }
  | { readonly with: 'host' };

const KEY_BYTES = 32;

/**
 * Names contents for one circle of guests: SHA-256 over the circle's key and the page. The key is made of the
 * site's secret, which all its hosts hold, so that two hosts name alike, two circles never do, and nobody
 * without the secret can derive from a name what it is of.
 *
 * Pages are kept apart by the host with which they were exchanged: a peer learns only of what it sent here or got from
 * here, so that it learns nothing of guests that it never had.
 */
export class Scope {
  /** Distinguishes circles in the names of seeds' indexes and in what peers agree on; says nothing of the key. */
  readonly tag: string;
  /** Of the segments that hold what was exchanged with that peer; without one, of what no peer learns of. */
  readonly peerTag: string;
  /** Seed of the checksum of what lies on disk, so that no guest can make a page that looks sound. */
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

  /** ID_BYTES of the keyed hash. All pages are of one length, so nothing can be appended to one. */
  nameOf(page: Uint8Array): Buffer {
    this.#keyed.set(page, KEY_BYTES);
    // As a string: a buffer of its own for each is what the garbage collector would be busy with.
    const name = Buffer.allocUnsafe(ID_BYTES);
    name.write(hash('sha256', this.#keyed, 'latin1'), 0, ID_BYTES, 'latin1');
    return name;
  }
}
