import { createHmac, randomBytes, type Hmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { writeWhole } from '../../../../system/files/whole-file.ts';
import type { ImagePlace } from '../../../../protocol/disk.ts';

/**
 * Ids by which the source of one migration names places of this host. This host makes each of them: for a directory in
 * which both hosts proved to read what the other wrote, and for a file that it will make. An id is the keyed hash of what
 * it stands for. The key is random, belongs to this migration and never leaves the host. So a source can name no place
 * that it was not given, and no id of another migration is of use to it; an id needs no record, and a mover that takes
 * over makes the same ones.
 */
export class PlaceIds {
  readonly #openKey: () => Buffer;
  #key: Buffer | undefined;

  /** `openKey` is called once, for the first id: a guest without disks needs none. */
  constructor(openKey: () => Buffer) {
    this.#openKey = openKey;
  }

  /** Of the directory at `directory` below a pool, which this migration has proved to be shared; '' is the pool itself. */
  proved(pool: string, directory: string): string {
    return this.#id('proved', pool, directory);
  }

  /** Of one block device, which this migration has proved that both hosts see; `stamp` says which device the name is. */
  device(pool: string, name: string, stamp: string): string {
    return this.#id('device', pool, name, stamp);
  }

  /** Where the source is to read a device, for this host to believe that it sees it: 64 hexadecimal digits. */
  challenge(ids: readonly string[]): string {
    return this.#hmac('challenge', ids).digest('hex');
  }

  /**
   * The place of a device that this migration has proved; undefined: it was not given, or its name is another device now.
   * `stampOf` says which device a name is.
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

  /** Of a directory that is a volume, or holds one; `stamp` says which directory the name is. */
  volume(pool: string, directory: string, stamp: string): string {
    return this.#id('volume', pool, directory, stamp);
  }

  /**
   * The place of a volume that this migration has proved; undefined: it was not given, or its name is another directory
   * now. `stampOf` says which directory a name is.
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

  /** Of the file at `file` below a pool, which this migration may make. */
  made(pool: string, file: string): string {
    return this.#id('made', pool, file);
  }

  /** The place of a file beside a proof of this migration, with this host's own name for the pool; undefined: it was not given. */
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

  /** The place of a file that this migration may make, with this host's own name for the pool; undefined: it was not given. */
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

/** Of a path below a pool; '' is the pool itself. */
function directoryOf(file: string): string {
  const directory = path.posix.dirname(file);
  return directory === '.' ? '' : directory;
}

const KEY_BYTES = 32;

/** The ids of the migration whose state lies in `dir`. */
export function openPlaceIds(dir: string): PlaceIds {
  return new PlaceIds(() => openKey(path.join(dir, 'places.key')));
}

/** The first call makes the key; it is synced before it is used. */
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
