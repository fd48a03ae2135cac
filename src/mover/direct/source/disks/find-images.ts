import { realpath } from 'node:fs/promises';
import path from 'node:path';
import type { AgentConfig } from '../../../../config.ts';
import { isBlockDevice, locateDevice, openDevicePools } from '../../../../disks/proof/devices.ts';
import { exportOf, exportsOf, resolveOn, type Export } from '../../../../disks/proof/exports.ts';
import { targetOf, targetsOf, type Target } from '../../../../disks/proof/luns.ts';
import { imagePoolOf, imagePoolsOf, type ImagePool } from '../../../../disks/proof/rbd-images.ts';
import {
  locate,
  openPools,
  type LookupResult,
  type ImageLocation,
} from '../../../../disks/proof/pools.ts';
import { besideInDirectory, besideOnExport, type Beside } from '../../../../disks/proof/proof.ts';
import { clientFor, type NetworkClient } from '../../../../protocol/network-file.ts';
import { deviceMedium, imageMedium, lunMedium, type Medium } from '../../../shared/media.ts';

export interface Lying extends ImageLocation {
  /** Real path; one proof covers all its images. For a medium, the medium itself. */
  readonly directory: string;
  /** Proof by a file next to the image, or by a medium's identity and content. */
  readonly proof: { readonly beside: Beside } | { readonly medium: Medium };
  /** Client of the hypervisor for an image that the host has neither mounted nor attached. */
  readonly client?: NetworkClient;
  /** Inode on an export, which its hypervisor does not report. */
  readonly inode?: string;
}

export async function finder(
  config: AgentConfig,
): Promise<
  (file: string, signal: AbortSignal, isWritten?: boolean) => Promise<LookupResult<Lying>>
> {
  const pools = await openPools(config.storage);
  const exports = exportsOf(config.storage);
  const targets = targetsOf(config.storage);
  const images = imagePoolsOf(config.storage);
  const devices = await openDevicePools(config.storage);
  return async (file, signal, isWritten = false) => {
    switch (clientFor(file)) {
      case 'nfs':
        return findOnExport(exports, file, signal);
      case 'iscsi':
        return findLun(targets, file);
      case 'rbd':
        return findImage(images, file, isWritten);
      case undefined:
        break;
    }
    if (await isBlockDevice(file)) {
      const at = await locateDevice(devices, file);
      if ('problem' in at) return at;
      const directory = await realpath(file);
      return { found: { ...at.found, directory, proof: { medium: deviceMedium(directory) } } };
    }
    const at = await locate(pools, file);
    if ('problem' in at) return at;
    const directory = path.dirname(path.join(at.found.pool.root, at.found.path));
    return { found: { ...at.found, directory, proof: { beside: besideInDirectory(directory) } } };
  };
}

async function findOnExport(
  exports: readonly Export[],
  file: string,
  signal: AbortSignal,
): Promise<LookupResult<Lying>> {
  const at = exportOf(exports, file);
  if ('problem' in at) return at;
  const { pool, path: part } = at.found;
  const there = await resolveOn(pool, part, signal);
  if ('problem' in there) return there;
  const inPool = directoryOf(part);
  const proof = { beside: besideOnExport(pool, inPool) };
  const directory = `${pool.root}/${inPool}`;
  const { inode } = there.found;
  return { found: { pool, path: part, directory, proof, client: 'nfs', inode } };
}

function findLun(targets: readonly Target[], file: string): LookupResult<Lying> {
  const at = targetOf(targets, file);
  if ('problem' in at) return at;
  const proof = { medium: lunMedium(at.found.pool, at.found.path) };
  return {
    found: {
      ...at.found,
      directory: `${at.found.pool.root}/${at.found.path}`,
      proof,
      client: 'iscsi',
    },
  };
}

function findImage(
  pools: readonly ImagePool[],
  file: string,
  isWritten: boolean,
): LookupResult<Lying> {
  const at = imagePoolOf(pools, file);
  if ('problem' in at) return at;
  const { pool, path: image } = at.found;
  const proof = { medium: imageMedium(pool, image, isWritten) };
  return { found: { pool, path: image, directory: `${pool.root}/${image}`, proof, client: 'rbd' } };
}

export function directoryOf(part: string): string {
  const directory = path.posix.dirname(part);
  return directory === '.' ? '' : directory;
}
