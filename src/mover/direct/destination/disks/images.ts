import { statfs } from 'node:fs/promises';
import path from 'node:path';
import type { AgentConfig } from '../../../../config.ts';
import type { DestinationSession } from '../../../../port/direct.ts';
import type { NewImage } from '../../../../port/disks.ts';
import { GodwitError, godwitError } from '../../../../errors.ts';
import type { DestinationState } from '../../../../migration/direct/destination/destination.ts';
import { defined } from '../../../../protocol/defined.ts';
import type { DiskImage, ImagePlace } from '../../../../protocol/disk.ts';
import type { NamedCheck } from '../../../../migration/preflight/check.ts';
import { formatBytes } from '../../../../protocol/quantity.ts';
import type { Preparation } from '../../../../protocol/peer/migration.ts';
import {
  asideOf,
  discard,
  keep,
  madeNames,
  makeDirectories,
  name,
  removeDirectories,
  setAside,
  type StagedFile,
} from '../../../../disks/proof/made-files.ts';
import {
  newFileIn,
  openPools,
  type LookupResult,
  type NewFile,
  type Pool,
} from '../../../../disks/proof/pools.ts';
import type { Log } from '../../../../log.ts';
import { openVolumePools, type VolumePool } from '../../../../disks/volumes/pools.ts';
import {
  discardVolumes,
  keepVolumes,
  makeVolumes,
  volumePoolFor,
  volumeProblems,
  type PlannedVolume,
} from './volumes.ts';

export interface PlannedImage extends NewFile {
  readonly node: string;
  readonly place: ImagePlace;
  /** Planned volume, whose device is `file`; absent: a file. */
  readonly volume?: PlannedVolume;
}

export interface ImagePlan {
  readonly images: readonly PlannedImage[];
  readonly checks: readonly NamedCheck[];
}

/** Free share to keep: guests with thin images in the same file system stop once it is full. */
const RESERVE = 0.05;
const MAX_RESERVE = 1024 ** 3;

const NONE: ImagePlan = { images: [], checks: [] };

/** Plans a place with enough room for each copied image; read-only. */
export async function planImages(
  config: AgentConfig,
  { description, copies = [] }: Preparation,
  signal: AbortSignal,
  migration?: string,
): Promise<ImagePlan> {
  if (copies.length === 0) return NONE;
  const pools = await openPools(config.storage);
  const volumePools = await openVolumePools(config.storage);
  const sizes = imagesOf(preparationDisks(description.disks));
  const images: PlannedImage[] = [];
  const checks: NamedCheck[] = [];
  const refuse = (error: GodwitError): void => {
    const evidence = error.message;
    const found = { evidence, error: error.toJSON() };
    checks.push({ name: 'disks', side: 'destination', verdict: 'refuse', ...found });
  };
  const who = { host: config.name, guest: description.name };
  for (const copy of copies) {
    const found = await newImage(pools, volumePools, sizes, copy);
    const device = copy.node;
    if ('found' in found) images.push(found.found);
    else refuse(godwitError('GODWIT_DISK_PLACE', { ...who, device, reason: found.problem }));
  }
  for (const error of [
    ...(await withoutRoom(config, description.name, images, sizes)),
    ...(await volumeProblems(who, plannedVolumes(images), migration, signal)),
  ]) {
    refuse(error);
  }
  if (checks.length > 0) return { images: [], checks };
  return { images, checks: await Promise.all(images.map((image) => willBeMade(image, sizes))) };
}

async function newImage(
  pools: readonly Pool[],
  volumePools: readonly VolumePool[],
  sizes: Sizes,
  copy: ImagePlace,
): Promise<LookupResult<PlannedImage>> {
  const { node, path: part } = copy;
  const volumes = volumePoolFor(volumePools, copy, sizes.get(node));
  if (volumes !== undefined)
    return 'problem' in volumes ? volumes : { found: newVolume(volumes, node, part, sizes) };
  const pool = poolFor(pools, copy);
  if (pool === undefined) return { problem: whyNoPool(pools) };
  const found = await newFileIn(pool, part);
  if ('problem' in found) return found;
  return { found: { ...found.found, node, place: { node, pool: pool.id, path: part } } };
}

function newVolume(pool: VolumePool, node: string, name: string, sizes: Sizes): PlannedImage {
  const bytes = sizes.get(node)?.bytes ?? 0;
  const place = { node, pool: pool.id, path: name };
  const file = path.join(pool.root, name);
  return { file, directories: [], node, place, volume: { node, pool, name, bytes } };
}

function plannedVolumes(images: readonly PlannedImage[]): PlannedVolume[] {
  return images.flatMap(({ volume }) => (volume === undefined ? [] : [volume]));
}

/** The pool with the source's id, or the only one. */
export function poolFor(pools: readonly Pool[], { pool: wanted }: ImagePlace): Pool | undefined {
  return pools.find(({ id }) => id === wanted) ?? (pools.length === 1 ? pools[0] : undefined);
}

export function whyNoPool(pools: readonly Pool[]): string {
  if (pools.length === 0) return '`storage` names no directory of this host';
  const roots = pools.map(({ root }) => root).join(', ');
  return `its directory at the source has no counterpart in \`storage\` (${roots})`;
}

type Sizes = ReadonlyMap<string, DiskImage>;

function preparationDisks(disks: Preparation['description']['disks']): readonly DiskImage[] {
  return (disks ?? []).flatMap(({ images }) => images);
}

function imagesOf(images: readonly DiskImage[]): Sizes {
  return new Map(images.map((image) => [image.node, image]));
}

/** Initial size of a copy: the source's allocated size, if known. */
function needed(sizes: Sizes, node: string): number {
  const image = sizes.get(node);
  return image?.allocatedBytes ?? image?.bytes ?? 0;
}

const existingDirectory = ({ file, directories: [missing = file] }: PlannedImage): string =>
  path.dirname(missing);

async function withoutRoom(
  { name: host, limits }: AgentConfig,
  guest: string,
  images: readonly PlannedImage[],
  sizes: Sizes,
): Promise<GodwitError[]> {
  const errors: GodwitError[] = [];
  // A directory below a pool may be a separate file system.
  const files = images.filter(({ volume }) => volume === undefined);
  const places = Map.groupBy(files, existingDirectory);
  for (const [directory, here] of places) {
    const bytes = here.reduce((sum, { node }) => sum + needed(sizes, node), 0);
    const { bavail, blocks, bsize } = await statfs(directory);
    const reserve = limits.storageReserveBytes ?? Math.min(MAX_RESERVE, blocks * bsize * RESERVE);
    if (bytes + reserve <= bavail * bsize) continue;
    const device = here.map(({ node }) => node).join(', ');
    const room = { needed: formatBytes(bytes), free: formatBytes(bavail * bsize) };
    const hint = `Free room there: ${formatBytes(reserve)} stay free for guests that are there (\`limits.storageReserveBytes\`). Or add another directory to \`storage\` of that host’s configuration.`;
    errors.push(godwitError('GODWIT_DISK_SPACE', { host, guest, device, ...room }, { hint }));
  }
  return errors;
}

export async function refuseWithoutRoom(
  config: AgentConfig,
  { description }: Preparation,
  images: readonly PlannedImage[],
): Promise<void> {
  const sizes = imagesOf(preparationDisks(description.disks));
  const [first] = await withoutRoom(config, description.name, images, sizes);
  if (first !== undefined) throw first;
}

/** Warns if the disk can outgrow the free space, which would stop the guest. */
async function willBeMade(planned: PlannedImage, sizes: Sizes): Promise<NamedCheck> {
  const { node, file, volume } = planned;
  const to = volume === undefined ? file : `${file}, a new volume in ${volume.pool.maker.where}`;
  const copied = `${node}: ${formatBytes(needed(sizes, node))} will be copied to ${to}`;
  const common = { name: 'disks', side: 'destination' } as const;
  const bytes = sizes.get(node)?.bytes ?? 0;
  const free = volume === undefined ? await freeBytes(existingDirectory(planned)) : Infinity;
  if (bytes <= free) return { ...common, verdict: 'pass', evidence: copied.slice(0, 4096) };
  const growth = `it can grow to ${formatBytes(bytes)}, and ${formatBytes(free)} are free there`;
  return {
    ...common,
    verdict: 'warn',
    evidence: `${copied.slice(0, 4000)}; ${growth}`,
    hint: 'Free room there, or add a larger directory to `storage`: the guest stops if its disk has no room to grow.',
  };
}

async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

export async function imagesToMake(
  config: AgentConfig,
  preparation: Preparation,
  signal: AbortSignal,
  migration?: string,
): Promise<readonly PlannedImage[]> {
  const { images, checks } = await planImages(config, preparation, signal, migration);
  const refusal = checks.find(({ error }) => error !== undefined)?.error;
  if (refusal !== undefined) throw new GodwitError(refusal);
  return images;
}

export function withPlanned(
  files: ReadonlyMap<string, string>,
  images: readonly PlannedImage[],
): ReadonlyMap<string, string> {
  return new Map([...files, ...images.map(({ node, file }) => [node, file] as const)]);
}

export interface Making {
  readonly migration: string;
  readonly preparation: Preparation;
  readonly images: readonly PlannedImage[];
  readonly files: ReadonlyMap<string, string>;
}

/** Makes empty images, journaled before; resolves to their places by block node. */
export async function makeImages(
  session: DestinationSession,
  { migration, preparation, images, files }: Making,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  if (images.length === 0) return new Map();
  const { description } = preparation;
  if (session.disks === undefined) {
    const what = `a driver for ${description.driver} that takes disks`;
    throw godwitError('GODWIT_HOST_LACKS', { what });
  }
  await makeDirectories(images.flatMap(({ directories }) => directories));
  const made = images.flatMap((image, index) =>
    image.volume === undefined ? [{ image, ...madeNames(image.file, migration, index) }] : [],
  );
  const wanted = made.map(({ image: { node }, temporary: file }): NewImage => {
    const backing = backingOf(description.disks, node);
    const backingFile = backing === undefined ? undefined : files.get(backing);
    return { node, file, ...defined({ backingFile }) };
  });
  await session.disks.create(description, wanted, signal);
  for (const { image, ...each } of made) await named(each, description.name, image);
  const volumes = plannedVolumes(images);
  return new Map([
    ...made.map(({ image: { node, file } }) => [node, file] as const),
    ...(await makeVolumes(description.name, volumes, migration, signal)),
  ]);
}

async function named(made: StagedFile, guest: string, image: PlannedImage): Promise<void> {
  try {
    await name(made);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = code === 'EEXIST' ? `${made.file} is there already` : message;
    const facts = { host: 'the destination', guest, device: image.node, reason };
    throw godwitError('GODWIT_DISK_PLACE', facts, { cause });
  }
}

function backingOf(disks: Preparation['description']['disks'], node: string): string | undefined {
  for (const { images } of disks ?? []) {
    const at = images.findIndex((image) => image.node === node);
    if (at >= 0) return images[at + 1]?.node;
  }
  return undefined;
}

/** Names from the journal alone, because a pool may be gone. */
async function madeOf(config: AgentConfig, state: DestinationState): Promise<StagedFile[]> {
  const pools = await openPools(config.storage);
  return (state.preparation?.copies ?? []).flatMap(({ pool: id, path: part }, index) => {
    const pool = pools.find((each) => each.id === id);
    if (pool === undefined) return [];
    return [madeNames(path.join(pool.root, part), state.admission.id, index)];
  });
}

/** Hands them over to the guest. Repeatable. */
export async function keepImages(
  config: AgentConfig,
  state: DestinationState,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  for (const made of await madeOf(config, state)) await keep(made);
  await keepVolumes(config, state, log, signal);
}

/** Renames the images to make room for another arrival. Volumes keep their names, which the host chose. Repeatable. */
export async function setImagesAside(
  config: AgentConfig,
  state: DestinationState,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  for (const made of await madeOf(config, state)) {
    const aside = asideOf(made.file, state.admission.id);
    await setAside(made, path.basename(aside));
    log.warn({ file: aside }, 'copied disk set aside: the guest may have written to it here');
  }
  await keepVolumes(config, state, log, signal);
}

/** Nothing of them stays. Only once no hypervisor has them open. May run twice. */
export async function discardImages(
  config: AgentConfig,
  state: DestinationState,
  signal: AbortSignal,
): Promise<void> {
  for (const made of await madeOf(config, state)) await discard(made);
  await removeDirectories(state.directories);
  await discardVolumes(config, state, signal);
}
