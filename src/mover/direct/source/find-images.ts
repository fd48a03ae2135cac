import { realpath } from 'node:fs/promises';
import path from 'node:path';
import type { AgentConfig } from '../../../config.ts';
import { isBlockDevice, locateDevice, openDevicePools } from '../../../disks/proof/devices.ts';
import { exportOf, exportsOf, resolveOn } from '../../../disks/proof/exports.ts';
import { locate, openPools } from '../../../disks/proof/pools.ts';
import type { Found, Located } from '../../../disks/proof/pools.ts';
import { besideInDirectory, besideOnExport } from '../../../disks/proof/proof.ts';
import type { Beside } from '../../../disks/proof/proof.ts';
import { isNfs } from '../../../protocol/nfs-url.ts';
import { NOWHERE } from './devices.ts';

/** Where the images of a guest's disks lie in this host's `storage`. */

/** Where an image lies here. */
export interface Lying extends Located {
  /** Without symbolic links: one proof serves all images in it. */
  readonly directory: string;
  readonly beside: Beside;
  /** On an export that no host has mounted. */
  readonly nfs: boolean;
  /** A block device; `directory` is then the device itself. */
  readonly device: boolean;
}

/** Finds where in this host's storage a file lies. */
export async function finder(
  config: AgentConfig,
): Promise<(file: string, signal: AbortSignal) => Promise<Found<Lying>>> {
  const pools = await openPools(config.storage);
  const exports = exportsOf(config.storage);
  const devices = await openDevicePools(config.storage);
  return async (file, signal) => {
    if (!isNfs(file) && (await isBlockDevice(file))) {
      const at = await locateDevice(devices, file);
      if ('problem' in at) return at;
      const directory = await realpath(file);
      return { found: { ...at.found, directory, beside: NOWHERE, nfs: false, device: true } };
    }
    if (!isNfs(file)) {
      const at = await locate(pools, file);
      if ('problem' in at) return at;
      const directory = path.dirname(path.join(at.found.pool.root, at.found.path));
      return {
        found: {
          ...at.found,
          directory,
          beside: besideInDirectory(directory),
          nfs: false,
          device: false,
        },
      };
    }
    const at = exportOf(exports, file);
    if ('problem' in at) return at;
    const { pool, path: part } = at.found;
    const there = await resolveOn(pool, part, signal);
    if ('problem' in there) return there;
    const inPool = directoryOf(part);
    const beside = besideOnExport(pool, inPool);
    return {
      found: {
        pool,
        path: part,
        directory: `${pool.root}/${inPool}`,
        beside,
        nfs: true,
        device: false,
      },
    };
  };
}

/** Of a place in a pool; empty: the pool itself. */
export function directoryOf(part: string): string {
  const directory = path.posix.dirname(part);
  return directory === '.' ? '' : directory;
}
