import type { AgentConfig } from '../../../../config.ts';
import { godwitError, GodwitError } from '../../../../errors.ts';
import { identityOfName } from '../../../../system/files/open-files.ts';
import { inodeIn, OTHER_THERE, whyOtherOpened } from '../../../../migration/image-identity.ts';
import type { DestinationSession } from '../../../../port/direct.ts';
import type { DeviceAnswer, ImagePlace, ProofAnswer } from '../../../../protocol/disk.ts';
import type { NamedCheck } from '../../../../migration/preflight/check.ts';
import type {
  Admission,
  Preparation,
  StorageAnswer,
  StorageProof,
} from '../../../../protocol/peer/migration.ts';
import {
  answerDevice,
  openDevicePools,
  resolveDevice,
  stampOf,
} from '../../../../disks/proof/devices.ts';
import { exportsOf, fileToOpenOn } from '../../../../disks/proof/exports.ts';
import { answerLun, fileOfLun, stampOfLun, targetsOf } from '../../../../disks/proof/luns.ts';
import {
  answerImage,
  fileOfImage,
  imagePoolsOf,
  stampOfImage,
} from '../../../../disks/proof/rbd-images.ts';
import {
  directoryStamp,
  openPools,
  resolveIn,
  type LookupResult,
  type Pool,
} from '../../../../disks/proof/pools.ts';
import { openVolumePools } from '../../../../disks/volumes/pools.ts';
import { answerOnExports, answerProof, proofFile } from '../../../../disks/proof/proof.ts';
import type { DestinationContext } from '../destination-context.ts';

/** Limit for unresponsive servers and targets, ms; the source waits 10 s for the answer. */
const EXPORTS_MS = 8000;

/** Places of the guest's disk images here, by block node, with findings against opening them. */
export interface DiskFiles {
  readonly files: ReadonlyMap<string, string>;
  readonly checks: readonly NamedCheck[];
}

type Naming = Pick<DestinationContext, 'config' | 'placeIds'>;

/** Answers a storage proof of an admitted migration, and gives shared places ids. */
export async function answerStorage(
  { config, placeIds }: Naming,
  { id, from }: Pick<Admission, 'id' | 'from'>,
  { places, devices }: StorageProof,
): Promise<StorageAnswer> {
  const pools = await openPools(config.storage);
  const exports = exportsOf(config.storage);
  const signal = AbortSignal.timeout(EXPORTS_MS);
  const answers: StorageAnswer['places'] = [];
  for (const place of places) {
    const { nfs = false, volume = false, file, directory } = place;
    if (file !== proofFile(id)) {
      answers.push({ problem: `${file} is no proof of this migration` });
      continue;
    }
    const answer = nfs
      ? await answerOnExports(exports, place, signal)
      : await answerProof(pools, place);
    if (volume) {
      answers.push(await ofVolume(placeIds, pools, directory, answer));
      continue;
    }
    const { pool } = answer;
    answers.push(
      pool === undefined ? answer : { ...answer, pool: placeIds.proved(pool, directory) },
    );
  }
  if (devices === undefined) return { places: answers };
  const devicePools = await openDevicePools(config.storage);
  const targets = targetsOf(config.storage);
  const images = imagePoolsOf(config.storage);
  const found: DeviceAnswer[] = [];
  const ends = { from, to: config.name, migration: id };
  for (const asked of devices) {
    const question = { ...ends, asked, challenge: placeIds.challenge(asked.ids) };
    const { iscsi, rbd } = asked;
    const { stamp, ...answer } =
      iscsi !== undefined
        ? await answerLun(targets, { ...question, iscsi }, signal)
        : rbd !== undefined
          ? await answerImage(images, { ...question, rbd }, signal)
          : await answerDevice(devicePools, question, signal);
    const { pool, path } = answer;
    const isThere = pool !== undefined && path !== undefined && stamp !== undefined;
    found.push(isThere ? { ...answer, pool: placeIds.device(pool, path, stamp) } : answer);
  }
  return { places: answers, devices: found };
}

/** Id of exactly this directory, mounted as it is. */
async function ofVolume(
  placeIds: Naming['placeIds'],
  pools: readonly Pool[],
  directory: string,
  { pool: id, ...answer }: ProofAnswer,
): Promise<ProofAnswer> {
  const known = { ...answer, volume: true } as const;
  const pool = pools.find((each) => each.id === id);
  if (pool === undefined) return known;
  const stamp = await directoryStamp(pool, directory);
  if (stamp === undefined) return known;
  return { ...known, pool: placeIds.volume(pool.id, directory, stamp) };
}

/**
 * Replaces the source's disk places by this host's paths. GODWIT_DISK_MISSING: a place that no proof of this
 * migration gave. GODWIT_DISK_PLACE: a file to make that this host did not choose. Without `chosen`, this host has
 * not chosen places for copies yet.
 */
export async function withOwnPlaces<T extends Preparation>(
  { config, placeIds }: Naming,
  asked: T,
  chosen: boolean,
): Promise<T> {
  const { places, copies, description } = asked;
  const directories = await openPools(config.storage);
  const pools = [...directories, ...exportsOf(config.storage)];
  const media = await openMedia(config);
  const toFill = [...pools, ...(await openVolumePools(config.storage))];
  const facts = { host: config.name, guest: description.name };
  const own = async (each: ImagePlace): Promise<ImagePlace> => {
    const found =
      placeIds.besideProof(each, pools) ??
      (await placeIds.provedDevice(each, media, (medium, name) => medium.stamp(name))) ??
      (await placeIds.provedVolume(each, directories, directoryStamp));
    if (found !== undefined) return found;
    const reason =
      'no proof of shared storage in this migration covers the place that the source names';
    const hint =
      'Run the migration again; a source that still names such a place is of a broken or hostile build.';
    throw godwitError('GODWIT_DISK_MISSING', { ...facts, device: each.node, reason }, { hint });
  };
  const toMake = (each: ImagePlace): ImagePlace => {
    const found = placeIds.toMake(each, toFill);
    if (found !== undefined) return found;
    const reason = 'the source names another place than this host chose';
    throw godwitError('GODWIT_DISK_PLACE', { ...facts, device: each.node, reason });
  };
  return {
    ...asked,
    ...(places === undefined ? {} : { places: await Promise.all(places.map(own)) }),
    ...(copies === undefined || !chosen ? {} : { copies: copies.map(toMake) }),
  };
}

/**
 * Throws GODWIT_DISK_PLACE if the guest would write to an image that other guests may read: found by content, or sent
 * as read-only.
 */
export function refuseWrittenBackingFiles(
  { name: host }: Pick<AgentConfig, 'name'>,
  { name: guest, disks = [] }: Preparation['description'],
  bases: readonly { readonly node: string }[],
): void {
  for (const { images } of disks) {
    const [top] = images;
    if (top === undefined || top.readOnly || !bases.some(({ node }) => node === top.node)) continue;
    const reason = 'it was looked for by its content, and the guest would write to it';
    const hint = 'The source has to copy an image that the guest writes to.';
    throw godwitError('GODWIT_DISK_PLACE', { host, guest, device: top.node, reason }, { hint });
  }
}

export async function diskFiles(
  naming: Naming,
  { description, places = [] }: Preparation,
): Promise<DiskFiles> {
  const files = new Map<string, string>();
  const checks: NamedCheck[] = [];
  if (places.length === 0) return { files, checks };
  const { config } = naming;
  const resolve = await resolver(naming);
  for (const place of places) {
    const { node, path } = place;
    const found = await resolve(place);
    if ('found' in found) {
      files.set(node, found.found);
      continue;
    }
    const own = { guest: description.name, reason: found.problem };
    const error =
      found.problem === OTHER_THERE
        ? godwitError('GODWIT_DISK_REPLACED', { ...own, device: node, file: path })
        : godwitError('GODWIT_DISK_MISSING', { ...own, host: config.name, device: path });
    checks.push({
      name: 'disks',
      side: 'destination',
      verdict: 'refuse',
      evidence: error.message,
      error: error.toJSON(),
    });
  }
  if (checks.length === 0) {
    const evidence = [...files.values()].join(', ').slice(0, 4096);
    checks.push({ name: 'disks', side: 'destination', verdict: 'pass', evidence });
  }
  return { files, checks };
}

async function resolver({
  config,
  placeIds,
}: Naming): Promise<(place: ImagePlace) => Promise<LookupResult<string>>> {
  const pools = await openPools(config.storage);
  const exports = exportsOf(config.storage);
  const media = await openMedia(config);
  const signal = AbortSignal.timeout(EXPORTS_MS);
  return async ({ pool: id, path: part, device, volume, inode }) => {
    const pool = pools.find((each) => each.id === id);
    if (pool !== undefined && volume !== undefined)
      return resolveVolume(placeIds, pool, { part, volume });
    if (pool !== undefined) return resolveFile(pool, part, inode);
    const onExport = exports.find((each) => each.id === id);
    if (onExport !== undefined) return fileToOpenOn(onExport, part, inode, signal);
    const medium = media.find((each) => each.id === id);
    if (medium !== undefined) {
      const stamp = await medium.stamp(part);
      if (stamp !== undefined && placeIds.device(id, part, stamp) === device) {
        return medium.resolve(part);
      }
      return { problem: 'that name is another device now than the one that was proved' };
    }
    return { problem: `no storage of ${config.name} allows it` };
  };
}

/** Checks the file itself, which a directory's proof does not cover. */
async function resolveFile(
  pool: Pool,
  part: string,
  inode: string | undefined,
): Promise<LookupResult<string>> {
  const file = await resolveIn(pool, part, 'file');
  if (inode === undefined || 'problem' in file) return file;
  const there = inodeIn(await identityOfName(file.found));
  return there === inode ? file : { problem: OTHER_THERE };
}

/** A volume is a directory, or a file in the proved directory. */
async function resolveVolume(
  placeIds: Naming['placeIds'],
  pool: Pool,
  { part, volume }: { readonly part: string; readonly volume: string },
): Promise<LookupResult<string>> {
  const own = { node: 'volume', pool: volume, path: part };
  if ((await placeIds.provedVolume(own, [pool], directoryStamp)) === undefined)
    return { problem: 'that name is another directory now than the one that was proved' };
  const directory = await resolveIn(pool, part, 'directory');
  return 'found' in directory ? directory : resolveIn(pool, part, 'file');
}

/** Separate media: devices of a directory, LUNs of a target, images of a pool. */
interface Media {
  readonly id: string;
  /** Identity of the medium behind a name; undefined: there is none. */
  stamp(name: string): Promise<string | undefined>;
  resolve(name: string): Promise<LookupResult<string>>;
}

async function openMedia({ storage }: Pick<AgentConfig, 'storage'>): Promise<Media[]> {
  const signal = AbortSignal.timeout(EXPORTS_MS);
  return [
    ...(await openDevicePools(storage)).map((pool) => ({
      id: pool.id,
      stamp: (name: string) => stampOf(pool, name),
      resolve: (name: string) => resolveDevice(pool, name),
    })),
    ...targetsOf(storage).map((pool) => ({
      id: pool.id,
      stamp: (name: string) => stampOfLun(pool, name, signal),
      resolve: (name: string) => Promise.resolve({ found: fileOfLun(pool, name) }),
    })),
    ...imagePoolsOf(storage).map((pool) => ({
      id: pool.id,
      stamp: (name: string) => stampOfImage(pool, name, signal),
      resolve: (name: string) => Promise.resolve({ found: fileOfImage(pool, name) }),
    })),
  ];
}

/** Looks again before they are opened, since they may have changed. */
export async function filesToOpen(
  naming: Naming,
  preparation: Preparation,
): Promise<ReadonlyMap<string, string>> {
  const { files, checks } = await diskFiles(naming, preparation);
  const refusal = checks.find(({ error }) => error !== undefined)?.error;
  if (refusal !== undefined) throw new GodwitError(refusal);
  return files;
}

/**
 * Final check: a file may have been replaced between `filesToOpen` and the start of the hypervisor.
 * GODWIT_DISK_REPLACED if the hypervisor has opened another file than the guest's image.
 */
export async function mustHaveOpened(
  session: Pick<DestinationSession, 'opened'>,
  { description: { name: guest }, places = [] }: Pick<Preparation, 'description' | 'places'>,
  files: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const local = new Map([...files].filter(([, file]) => file.startsWith('/')));
  const seen = local.size === 0 ? undefined : await session.opened?.(local, signal);
  const other = seen === undefined ? undefined : whyOtherOpened(places, seen);
  if (other === undefined) return;
  const { node: device, reason } = other;
  throw godwitError('GODWIT_DISK_REPLACED', {
    guest,
    device,
    file: local.get(device) ?? device,
    reason,
  });
}
