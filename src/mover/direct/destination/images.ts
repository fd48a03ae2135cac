import { statfs } from 'node:fs/promises';
import path from 'node:path';
import type { AgentConfig } from '../../../config.ts';
import type { DestinationSession } from '../../../drivers/port/direct.ts';
import type { NewImage } from '../../../drivers/port/disks.ts';
import { GodwitError, godwitError } from '../../../errors.ts';
import type { DestinationState } from '../../../migration/direct/destination.ts';
import type { DiskImage, ImagePlace } from '../../../protocol/disk.ts';
import type { NamedCheck } from '../../../migration/preflight/check.ts';
import { formatBytes } from '../../../protocol/quantity.ts';
import type { Preparation } from '../../../protocol/peer/migration.ts';
import {
  discard,
  keep,
  madeNames,
  makeDirectories,
  name,
  removeDirectories,
} from '../../../disks/proof/made-files.ts';
import type { Made } from '../../../disks/proof/made-files.ts';
import { newFileIn, openPools } from '../../../disks/proof/pools.ts';
import type { NewFile, Pool } from '../../../disks/proof/pools.ts';
import { targetsOf } from './backing-names.ts';

/** Images that are made here for the disks that the source will copy: where, and what becomes of them. */

export interface PlannedImage extends NewFile {
  readonly node: string;
  readonly place: ImagePlace;
}

export interface ImagePlan {
  readonly images: readonly PlannedImage[];
  readonly checks: readonly NamedCheck[];
}

const NONE: ImagePlan = { images: [], checks: [] };

/** Finds a place for each image that is to be copied, with room for it; changes nothing. */
export async function planImages(
  config: AgentConfig,
  { description, copies = [] }: Preparation,
): Promise<ImagePlan> {
  if (copies.length === 0) return NONE;
  const pools = await openPools(config.storage);
  const images: PlannedImage[] = [];
  const checks: NamedCheck[] = [];
  const refuse = (error: GodwitError): void => {
    const evidence = error.message;
    const found = { evidence, error: error.toJSON() };
    checks.push({ name: 'disks', side: 'destination', verdict: 'refuse', ...found });
  };
  for (const copy of copies) {
    const { node, path: part } = copy;
    const facts = { host: config.name, guest: description.name, device: node };
    const pool = poolFor(pools, copy);
    const found = pool === undefined ? { problem: whyNoPool(pools) } : await newFileIn(pool, part);
    if (pool === undefined || 'problem' in found) {
      const reason = 'problem' in found ? found.problem : '';
      refuse(godwitError('GODWIT_DISK_PLACE', { ...facts, reason }));
    } else {
      images.push({ ...found.found, node, place: { node, pool: pool.id, path: part } });
    }
  }
  const taken = imagesOf(preparationDisks(description.disks));
  for (const error of await withoutRoom(config, description.name, images, taken)) refuse(error);
  if (checks.length > 0) return { images: [], checks };
  return { images, checks: images.map((image) => willBeMade(image, taken)) };
}

/** The pool that lies in the same place as the source's, or the only one. */
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

/** What a copy will take at first: as much as the image takes at the source, where that is known. */
function needed(sizes: Sizes, node: string): number {
  const image = sizes.get(node);
  return image?.allocatedBytes ?? image?.bytes ?? 0;
}

async function withoutRoom(
  { name: host }: AgentConfig,
  guest: string,
  images: readonly PlannedImage[],
  sizes: Sizes,
): Promise<GodwitError[]> {
  const errors: GodwitError[] = [];
  // A directory below a pool may be a file system of its own.
  const places = Map.groupBy(images, ({ file, directories: [missing = file] }) =>
    path.dirname(missing),
  );
  for (const [directory, here] of places) {
    const bytes = here.reduce((sum, { node }) => sum + needed(sizes, node), 0);
    const { bavail, bsize } = await statfs(directory);
    if (bytes <= bavail * bsize) continue;
    const device = here.map(({ node }) => node).join(', ');
    const room = { needed: formatBytes(bytes), free: formatBytes(bavail * bsize) };
    errors.push(godwitError('GODWIT_DISK_SPACE', { host, guest, device, ...room }));
  }
  return errors;
}

/** Throws GODWIT_DISK_SPACE where what is to be made has no room. */
export async function refuseWithoutRoom(
  config: AgentConfig,
  { description }: Preparation,
  images: readonly PlannedImage[],
): Promise<void> {
  const sizes = imagesOf(preparationDisks(description.disks));
  const [first] = await withoutRoom(config, description.name, images, sizes);
  if (first !== undefined) throw first;
}

function willBeMade({ node, file }: PlannedImage, sizes: Sizes): NamedCheck {
  const evidence = `${node}: ${formatBytes(needed(sizes, node))} will be copied to ${file}`;
  return { name: 'disks', side: 'destination', verdict: 'pass', evidence: evidence.slice(0, 4096) };
}

/** The same once more, before they are made: what was checked may have changed since. */
export async function imagesToMake(
  config: AgentConfig,
  preparation: Preparation,
): Promise<readonly PlannedImage[]> {
  const { images, checks } = await planImages(config, preparation);
  const refusal = checks.find(({ error }) => error !== undefined)?.error;
  if (refusal !== undefined) throw new GodwitError(refusal);
  return images;
}

/** Where all images of the guest's disks lie here, by block node. */
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
  /** Where the other images of its disks lie here, by block node. */
  readonly files: ReadonlyMap<string, string>;
}

/** Makes them, empty; what was begun is in the journal. */
export async function makeImages(
  session: DestinationSession,
  { migration, preparation, images, files }: Making,
  signal: AbortSignal,
): Promise<void> {
  if (images.length === 0) return;
  const { description } = preparation;
  if (session.disks === undefined) {
    const what = `a driver for ${description.driver} that takes disks`;
    throw godwitError('GODWIT_HOST_LACKS', { what });
  }
  await makeDirectories(images.flatMap(({ directories }) => directories));
  const made = images.map(({ file }, index) => madeNames(file, migration, index));
  const wanted = images.map(({ node }, index): NewImage => {
    const backing = backingOf(description.disks, node);
    const backingFile = backing === undefined ? undefined : files.get(backing);
    const { temporary: file = '' } = made[index] ?? {};
    return { node, file, ...(backingFile === undefined ? {} : { backingFile }) };
  });
  await session.disks.create(description, wanted, signal);
  for (const [index, each] of made.entries()) await named(each, description.name, images[index]);
}

async function named(made: Made, guest: string, image: PlannedImage | undefined): Promise<void> {
  try {
    await name(made);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = code === 'EEXIST' ? `${made.file} is there already` : message;
    const facts = { host: 'the destination', guest, device: image?.node ?? '', reason };
    throw godwitError('GODWIT_DISK_PLACE', facts, { cause });
  }
}

/** The node below this one in its disk's chain. */
function backingOf(disks: Preparation['description']['disks'], node: string): string | undefined {
  for (const { images } of disks ?? []) {
    const at = images.findIndex((image) => image.node === node);
    if (at >= 0) return images[at + 1]?.node;
  }
  return undefined;
}

/** The names that were given, from the journal's state alone: also where a pool is gone since. */
async function madeOf(config: AgentConfig, state: DestinationState): Promise<Made[]> {
  const pools = await openPools(config.storage);
  return (state.preparation?.copies ?? []).flatMap(({ pool: id, path: part }, index) => {
    const pool = pools.find((each) => each.id === id);
    if (pool === undefined) return [];
    return [madeNames(path.join(pool.root, part), state.admission.id, index)];
  });
}

/** They are the guest's own from now on. May run twice. */
export async function keepImages(config: AgentConfig, state: DestinationState): Promise<void> {
  for (const made of await madeOf(config, state)) await keep(made);
  for (const { made } of await targetsOf(config.storage, state)) await keep(made);
}

/**
 * Nothing of them stays. Only once no hypervisor has them open. May run twice. Backing files that were sent stay while
 * the source may still ask to build the guest again.
 */
export async function discardImages(config: AgentConfig, state: DestinationState): Promise<void> {
  const { directories } = state;
  for (const made of await madeOf(config, state)) await discard(made);
  const bases = state.right === 'none' ? [] : await targetsOf(config.storage, state);
  for (const { made } of bases) await discard(made);
  await removeDirectories(directories);
}
