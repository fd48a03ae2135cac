import { createHash, randomBytes } from 'node:crypto';
import { systemClock } from '../../clock.ts';
import { defined } from '../../protocol/defined.ts';
import type { DeviceProof, RbdImage } from '../../protocol/disk.ts';
import {
  formatRbd,
  parseRbd,
  rbdName,
  type RbdPlace,
  type RbdPool,
} from '../../protocol/rbd-name.ts';
import type { Identity, OwnAnswer } from './devices.ts';
import type { LookupResult, ImageLocation, Pool } from './pools.ts';
import { proofFile } from './proof.ts';
import {
  countWatchers,
  readImage,
  readNote,
  removeNote,
  writeNote,
  type ImageFacts,
} from './rbd/program.ts';

/**
 * Ceph RBD images that the hypervisor opens with its own client. Both hosts reach the same image if each reads what
 * the other wrote into its metadata, which requires write permission. The guest's data is not touched.
 */

export interface ImagePool extends Pool {
  readonly place: RbdPool;
}

export interface PoolConfig {
  readonly rbd: string;
  readonly user?: string | undefined;
  readonly conf?: string | undefined;
  readonly keyring?: string | undefined;
}

const NONCE_BYTES = 32;
/** A client that just closed an image still counts for a moment. */
const WATCHERS_MS = 3000;
const POLL_MS = 250;
const NOT_OPEN =
  'no client has it open, so the image of this name is not the image that the guest has open';

/** Pure: does not check whether they are reachable. */
export function imagePoolsOf(storage: readonly (PoolConfig | object)[]): ImagePool[] {
  return storage.flatMap((each) => {
    if (!('rbd' in each)) return [];
    const [pool = '', namespace] = each.rbd.split('/');
    const { user = 'admin', conf, keyring = `/etc/ceph/ceph.client.${user}.keyring` } = each;
    const place = {
      pool,
      user,
      keyring,
      ...defined({ namespace, conf }),
    };
    const root = `rbd:${each.rbd}`;
    const id = createHash('sha256')
      .update(JSON.stringify([root, user, conf]))
      .digest('hex');
    return [{ id: id.slice(0, 16), root, place }];
  });
}

/** Compares pool and namespace only; the proof shows the cluster. */
export function imagePoolOf(
  pools: readonly ImagePool[],
  file: string,
): LookupResult<ImageLocation & { pool: ImagePool }> {
  const wanted = parseRbd(file);
  if (wanted === undefined) return { problem: 'Godwit does not know which image it is' };
  const pool = pools.find(({ place }) => isIn(place, wanted));
  if (pool !== undefined) return { found: { pool, path: wanted.image } };
  const where = pools.map(({ root }) => root).join(', ');
  if (where === '') return { problem: '`storage` names no pool of RBD' };
  return { problem: `it is in none of the pools that \`storage\` names (${where})` };
}

/** Absent equals undefined. */
type Names = { readonly pool: string; readonly namespace?: string | undefined };

function isIn(one: Names, other: Names): boolean {
  return one.pool === other.pool && one.namespace === other.namespace;
}

function imageAt({ place }: ImagePool, image: string): RbdPlace {
  return { ...place, image: rbdName.parse(image) };
}

export function fileOfImage(pool: ImagePool, image: string): string {
  return formatRbd(imageAt(pool, image));
}

/** Identity from the cluster, the same from every host. */
export async function identityOfImage(
  pool: ImagePool,
  image: string,
  signal: AbortSignal,
): Promise<Identity> {
  return identify(await readImage(imageAt(pool, image), signal));
}

function identify({ id, bytes, created }: ImageFacts): Identity {
  return { bytes, ids: [`created ${created}`, `rbd ${id}`] };
}

/**
 * Rejects if another client than the guest's QEMU has it open. `isWritten`: that QEMU writes to it, so Ceph counts
 * it. An image that nothing has open is another one with the same name.
 */
export async function refuseOthers(
  pool: ImagePool,
  image: string,
  isWritten: boolean,
  signal: AbortSignal,
): Promise<void> {
  const until = systemClock.monotonicMs() + WATCHERS_MS;
  for (;;) {
    const count = await countWatchers(imageAt(pool, image), signal);
    if (count === 1 || (count === 0 && !isWritten)) return;
    if (systemClock.monotonicMs() > until && count === 0) throw new Error(NOT_OPEN);
    if (systemClock.monotonicMs() > until)
      throw new Error(`${count} clients have it open, and not the guest’s QEMU alone`);
    await systemClock.sleep(POLL_MS, signal);
  }
}

const noteOf = (migration: string, side: 'source' | 'destination'): string =>
  side === 'source' ? proofFile(migration) : `${proofFile(migration)}-there`;

/** Source: writes a note, replacing an earlier mover's, and returns its content for the proof. */
export async function noteForProof(
  pool: ImagePool,
  image: string,
  migration: string,
  signal: AbortSignal,
): Promise<string[]> {
  return write(imageAt(pool, image), noteOf(migration, 'source'), signal);
}

export async function isAnswered(
  pool: ImagePool,
  image: string,
  asked: { readonly migration: string; readonly there: readonly string[] },
  signal: AbortSignal,
): Promise<boolean> {
  const { migration, there } = asked;
  const read = await readNote(imageAt(pool, image), noteOf(migration, 'destination'), signal);
  return read !== '' && read === there.join('');
}

export async function dropNotes(
  pool: ImagePool,
  image: string,
  migration: string,
  signal: AbortSignal,
): Promise<void> {
  const place = imageAt(pool, image);
  await removeNote(place, noteOf(migration, 'source'), signal);
  await removeNote(place, noteOf(migration, 'destination'), signal);
}

async function write(place: RbdPlace, name: string, signal: AbortSignal): Promise<string[]> {
  const text = randomBytes(NONCE_BYTES).toString('hex');
  await writeNote(place, { name, text }, signal);
  return text.match(/.{16}/g) ?? [];
}

/** The destination's answer about one image: its presence, then that it has read and written notes. */
export async function answerImage(
  pools: readonly ImagePool[],
  question: {
    readonly asked: DeviceProof;
    readonly rbd: RbdImage;
    readonly migration: string;
    readonly challenge: string;
  },
  signal: AbortSignal,
): Promise<OwnAnswer> {
  const { asked, rbd, migration, challenge } = question;
  const pool = pools.find(({ place }) => isIn(place, rbd));
  if (pool === undefined) return {};
  const { image } = rbd;
  try {
    const place = imageAt(pool, image);
    const own = identify(await readImage(place, signal));
    if (own.ids.join() !== asked.ids.join()) {
      return { problem: `${pool.root}/${image} is another image there` };
    }
    if (asked.samples === undefined) return { challenge };
    if (own.bytes !== asked.bytes) return { problem: 'the image of the same id has another size' };
    const read = await readNote(place, noteOf(migration, 'source'), signal);
    if (read === '' || read !== asked.samples.join('')) {
      return { problem: 'what the source wrote beside it is not there' };
    }
    const samples = await write(place, noteOf(migration, 'destination'), signal);
    return { pool: pool.id, path: image, samples, stamp: stampFor(own) };
  } catch (error) {
    signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    return { problem: `${pool.root}/${image}: ${why}`.slice(0, 1024) };
  }
}

/** Identity behind a pool's name; undefined if unknown. */
export async function stampOfImage(
  pool: ImagePool,
  image: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!rbdName.safeParse(image).success) return undefined;
  return identityOfImage(pool, image, signal).then(stampFor, () => undefined);
}

function stampFor({ bytes, ids }: Identity): string {
  return JSON.stringify(['rbd', bytes, ids]);
}
