import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import type { Make, StoragePlace } from '../../config/storage-settings.ts';
import type { Maker } from './maker.ts';

export interface VolumePool {
  readonly id: string;
  /** Id of its directory; the same at another host with the same path. */
  readonly directoryId: string;
  /** Directory of the volumes' names; missing while a volume group is empty. */
  readonly root: string;
  readonly maker: Maker;
}

export async function openVolumePools(storage: readonly StoragePlace[]): Promise<VolumePool[]> {
  const pools: VolumePool[] = [];
  for (const each of storage) {
    if (!('devices' in each) || each.make === undefined) continue;
    const root = await realpath(each.devices).catch(() => path.resolve(each.devices));
    const maker = await makerOf(each.make);
    const directoryId = idOf(`devices ${root}`);
    pools.push({ id: idOf(`volumes ${maker.id}`), directoryId, root, maker });
  }
  return pools;
}

async function makerOf(make: Make): Promise<Maker> {
  if ('zfs' in make) {
    const { ZfsMaker } = await import('./zfs.ts');
    return new ZfsMaker(make.zfs, make.sparse === true);
  }
  const { LvmMaker } = await import('./lvm.ts');
  return new LvmMaker(make.lvm, make.thinPool);
}

function idOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
