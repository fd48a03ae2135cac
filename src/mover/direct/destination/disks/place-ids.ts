import { createHmac, randomBytes, type Hmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { writeWhole } from '../../../../system/files/whole-file.ts';
import type { ImagePlace } from '../../../../protocol/disk.ts';

/**
 * Ids for places of this host, for the source of one migration: directories that both hosts proved to share, and
 * files that this host will make. An id is a keyed hash of its place. The key is random, belongs to this migration
 * and never leaves the host, so a source can only name places that it was given. A mover that takes over derives the
 * same ids.
 */
export class PlaceIds {
  readonly #openKey: () => Buffer;
  #key: Buffer | undefined;

  /** `openKey` is called once, for the first id; a guest without disks needs none. */
  constructor(openKey: () => Buffer) {
    this.#openKey = openKey;
  }

  /** Id of a directory below a pool that was proved to be shared; '' is the pool itself. */
  proved(pool: string, directory: string): string {
    return this.#id('proved', pool, directory);
  }

  /** Id of a block device that both hosts were proved to see; `stamp` identifies the device behind the name. */
  device(pool: string, name: string, stamp: string): string {
    return this.#id('device', pool, name, stamp);
  }

  /** Position that the source must read on a device to prove that it sees it: 64 hexadecimal digits. */
  challenge(ids: readonly string[]): string {
    return this.#hmac('challenge', ids).digest('hex');
  }

  /**
   * Place of a proved device; undefined: not given, or another device now. `stampOf` identifies the device behind a
   * name.
   */
  async provedDevice<P extends { readonly id: string }>(
    { node, pool: id, path: name }: ImagePlace,
    pools: readonly P[],
    stampOf: (pool: P, name: string) => Promise<string | undefined>,
  ): Promise<ImagePlace | undefined> {
    for (const pool of pools) {
      const stamp = await stampOf(pool, name);
      if (stamp === undefined || this.device(pool.id, name, stamp) !== id) continue;
      return { node, pool: pool.id, path: name, device: id };
    }
    return undefined;
  }

  /** Id of a directory that is a volume, or contains one; `stamp` identifies the directory behind the name. */
  volume(pool: string, directory: string, stamp: string): string {
    return this.#id('volume', pool, directory, stamp);
  }

  /**
   * Place of a proved volume; undefined: not given, or another directory now. `stampOf` identifies the directory
   * behind a name.
   */
  async provedVolume<P extends { readonly id: string }>(
    { node, pool: id, path: name }: ImagePlace,
    pools: readonly P[],
    stampOf: (pool: P, directory: string) => Promise<string | undefined>,
  ): Promise<ImagePlace | undefined> {
    for (const pool of pools) {
      for (const directory of [name, directoryOf(name)]) {
        const stamp = await stampOf(pool, directory);
        if (stamp === undefined || this.volume(pool.id, directory, stamp) !== id) continue;
        return { node, pool: pool.id, path: name, volume: id };
      }
    }
    return undefined;
  }

  /** Id of a file below a pool that this migration may make. */
  made(pool: string, file: string): string {
    return this.#id('made', pool, file);
  }

  /** Place of a file in a proved directory, with this host's pool name; undefined: not given. */
  besideProof(
    place: ImagePlace,
    pools: readonly { readonly id: string }[],
  ): ImagePlace | undefined {
    const { node, pool: id, path: file } = place;
    const directory = directoryOf(file);
    const pool = pools.find((each) => this.proved(each.id, directory) === id);
    const { inode } = place;
    const number = inode === undefined ? {} : { inode };
    return pool === undefined ? undefined : { node, pool: pool.id, path: file, ...number };
  }

  /** Place of a file that this migration may make, with this host's pool name; undefined: not given. */
  toMake(place: ImagePlace, pools: readonly { readonly id: string }[]): ImagePlace | undefined {
    const { node, pool: id, path: file } = place;
    const pool = pools.find((each) => this.made(each.id, file) === id);
    return pool === undefined ? undefined : { node, pool: pool.id, path: file };
  }

  #id(
    ...parts: readonly [
      kind: 'proved' | 'device' | 'volume' | 'made',
      pool: string,
      part: string,
      stamp?: string,
    ]
  ): string {
    return this.#hmac(...parts)
      .digest('hex')
      .slice(0, 16);
  }

  #hmac(...parts: readonly unknown[]): Hmac {
    this.#key ??= this.#openKey();
    return createHmac('sha256', this.#key).update(JSON.stringify(parts));
  }
}

/** Path below a pool; '' is the pool itself. */
function directoryOf(file: string): string {
  const directory = path.posix.dirname(file);
  return directory === '.' ? '' : directory;
}

const KEY_BYTES = 32;

export function openPlaceIds(dir: string): PlaceIds {
  return new PlaceIds(() => openKey(path.join(dir, 'places.key')));
}

/** The first call makes the key and syncs it before use. */
function openKey(file: string): Buffer {
  const known = readKey(file);
  if (known !== undefined) return known;
  const key = randomBytes(KEY_BYTES);
  writeWhole(file, key);
  return key;
}

function readKey(file: string): Buffer | undefined {
  try {
    const key = readFileSync(file);
    return key.length === KEY_BYTES ? key : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
