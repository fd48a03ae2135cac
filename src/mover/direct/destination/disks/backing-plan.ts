import path from 'node:path';
import { findBackingFiles } from '../../../../disks/backing/find.ts';
import { planBackingFiles, type BackingFileFate } from '../../../../disks/backing/plan.ts';
import type { AgentConfig } from '../../../../config.ts';
import type { Identifier } from '../../../../port/disks.ts';
import { godwitError } from '../../../../errors.ts';
import type { SeededBackingFile } from '../../../../migration/direct/destination/destination-events.ts';
import type { DestinationState } from '../../../../migration/direct/destination/destination.ts';
import type { BackingFile } from '../../../../protocol/peer/backing-file.ts';
import type { NamedCheck } from '../../../../migration/preflight/check.ts';
import type { Preparation, Seeding } from '../../../../protocol/peer/migration.ts';
import { formatBytes } from '../../../../protocol/quantity.ts';
import { newFileIn, openPools, resolveIn, type Pool } from '../../../../disks/proof/pools.ts';
import {
  imagesToMake,
  poolFor,
  refuseWithoutRoom,
  whyNoPool,
  type PlannedImage,
} from './images.ts';

/** Plans this host's places, present or future, of read-only images that the hosts do not share. */

/** Images that may have to be sent. The hashes are unknown yet, so none is refused for its content. */
export async function expectBackingFiles(
  config: AgentConfig,
  { description, bases = [] }: Preparation,
): Promise<{
  readonly files: ReadonlyMap<string, string>;
  readonly checks: readonly NamedCheck[];
}> {
  const files = new Map<string, string>();
  const checks: NamedCheck[] = [];
  if (bases.length === 0) return { files, checks };
  const pools = await openPools(config.storage);
  for (const backing of bases) {
    const { node, path: part } = backing;
    const pool = poolFor(pools, backing);
    if (pools.length === 0) {
      const facts = { host: config.name, guest: description.name, device: node };
      const error = godwitError('GODWIT_DISK_PLACE', { ...facts, reason: whyNoPool(pools) });
      const found = { evidence: error.message, error: error.toJSON() };
      checks.push({ name: 'disks', side: 'destination', verdict: 'refuse', ...found });
    }
    files.set(node, path.join(pool?.root ?? '', part));
  }
  if (checks.length > 0) return { files, checks };
  const evidence = `looked for by their content, and sent where ${config.name} has them not: ${[...files.keys()].join(', ')}`;
  return { files, checks: [pass(evidence)] };
}

export interface BackingPlan {
  readonly bases: readonly SeededBackingFile[];
  readonly directories: readonly string[];
  readonly checks: readonly NamedCheck[];
}

/**
 * Finds existing images and plans places for the others; read-only. Files of an earlier attempt keep their plan,
 * complete or not.
 */
export async function planSeeding(
  config: AgentConfig,
  seeding: Seeding,
  before: readonly SeededBackingFile[],
  images: Identifier,
  signal: AbortSignal,
): Promise<BackingPlan> {
  const pools = await openPools(config.storage);
  const begun = new Map(before.filter(({ made }) => made).map((each) => [each.node, each]));
  const unknown = seeding.bases.filter(({ node }) => !begun.has(node));
  const found = await findBackingFiles(unknown, pools, images, signal);
  const { description, places = [] } = seeding;
  const fates = planBackingFiles(description.disks ?? [], {
    shared: places,
    backingFiles: seeding.bases,
    found,
  });
  const planned = new Map<string, SeededBackingFile>();
  const made: PlannedImage[] = [];
  for (const fate of fates) {
    if (fate.how === 'shared') continue;
    const backing = seeding.bases.find(({ node }) => node === fate.node);
    if (backing === undefined)
      throw refused(config, seeding, fate.node, 'the source reported nothing of it');
    const known = begun.get(fate.node);
    if (known !== undefined && known.sha256 !== backing.sha256) {
      const facts = { guest: description.name, device: backing.node };
      const reason = 'it has been written to since it was begun to be sent';
      throw godwitError('GODWIT_DISK_FAILED', { ...facts, reason });
    }
    if (fate.how === 'sent' && known === undefined) {
      const image = await newBackingFile(config, seeding, pools, backing, made);
      made.push(image);
      planned.set(fate.node, { ...backing, ...image.place, made: true });
    } else planned.set(fate.node, placed(fate, backing, known, planned));
  }
  const others = await imagesToMake(config, seeding, signal);
  await refuseWithoutRoom(config, seeding, [...made, ...others]);
  const bases = [...planned.values()];
  return {
    bases,
    directories: made.flatMap(({ directories }) => directories),
    checks: bases.map((backing) => pass(wordsOf(backing, pools))),
  };
}

function placed(
  fate: BackingFileFate,
  backing: BackingFile,
  known: SeededBackingFile | undefined,
  planned: ReadonlyMap<string, SeededBackingFile>,
): SeededBackingFile {
  if (known !== undefined) return known;
  if (fate.how === 'found') return { ...backing, ...fate.place, made: false };
  const same = fate.how === 'same' ? planned.get(fate.as) : undefined;
  if (same === undefined)
    throw godwitError('GODWIT_INTERNAL', { what: `no place for ${backing.node}` });
  return { ...same, node: backing.node, made: false };
}

async function newBackingFile(
  config: AgentConfig,
  seeding: Seeding,
  pools: readonly Pool[],
  backing: BackingFile,
  others: readonly PlannedImage[],
): Promise<PlannedImage> {
  const { node, path: part } = backing;
  const pool = poolFor(pools, backing);
  if (pool === undefined) throw refused(config, seeding, node, whyNoPool(pools));
  const found = await newFileIn(pool, part);
  if ('problem' in found) {
    const reason = `${found.problem}, and does not hold the same`;
    throw refused(config, seeding, node, reason);
  }
  if (others.some(({ file }) => file === found.found.file)) {
    throw refused(config, seeding, node, `${part} is also to be another image of it`);
  }
  return { ...found.found, node, place: { node, pool: pool.id, path: part } };
}

function refused(
  { name: host }: AgentConfig,
  { description }: Preparation,
  device: string,
  reason: string,
): Error {
  return godwitError('GODWIT_DISK_PLACE', { host, guest: description.name, device, reason });
}

function wordsOf(
  { node, pool: id, path: part, bytes, made }: SeededBackingFile,
  pools: readonly Pool[],
): string {
  const file = path.join(pools.find((pool) => pool.id === id)?.root ?? '', part);
  if (!made) return `${node}: ${file} holds the same, and nothing is sent`;
  return `${node}: ${formatBytes(bytes)} will be sent to ${file}`;
}

function pass(evidence: string): NamedCheck {
  return {
    name: 'disks',
    side: 'destination',
    verdict: 'pass',
    evidence: evidence.slice(0, 4096),
  };
}

/** Looks again before they are opened, since they may have changed. */
export async function backingFilePaths(
  config: AgentConfig,
  { bases, admission }: DestinationState,
  images: Identifier | undefined,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  if (bases.length === 0) return files;
  const pools = await openPools(config.storage);
  const missing = (device: string, reason: string): Error =>
    godwitError('GODWIT_DISK_MISSING', {
      host: config.name,
      guest: admission.guest,
      device,
      reason,
    });
  const own = new Set(
    bases.filter(({ made }) => made).map(({ pool, path: part }) => `${pool}/${part}`),
  );
  for (const { node, pool: id, path: part, sha256 } of bases) {
    const pool = pools.find((each) => each.id === id);
    const found =
      pool === undefined ? { problem: 'its storage is gone' } : await resolveIn(pool, part, 'file');
    if ('problem' in found) throw missing(node, found.problem);
    const holds = own.has(`${id}/${part}`) ? sha256 : await hashOf(images, found.found, signal);
    if (holds !== sha256) throw missing(node, 'it no longer holds what it did');
    files.set(node, found.found);
  }
  return files;
}

async function hashOf(
  images: Identifier | undefined,
  file: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  return (await images?.identify(file, signal).catch(() => undefined))?.sha256;
}
