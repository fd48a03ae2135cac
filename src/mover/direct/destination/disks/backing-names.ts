import path from 'node:path';
import type { AgentConfig } from '../../../../config.ts';
import type { BackingTarget } from '../../../../disks/backing/file.ts';
import type { DestinationState } from '../../../../migration/direct/destination.ts';
import { madeNames } from '../../../../disks/proof/made-files.ts';
import { openPools } from '../../../../disks/proof/pools.ts';

/** What is made here, from the journal's state alone; its names are the migration's own. */
export async function targetsOf(
  storage: AgentConfig['storage'],
  { bases, admission }: Pick<DestinationState, 'bases' | 'admission'>,
): Promise<BackingTarget[]> {
  const pools = await openPools(storage);
  return bases.flatMap(({ node, pool: id, path: part, bytes, sha256, made }, index) => {
    const pool = pools.find((each) => each.id === id);
    if (!made || pool === undefined) return [];
    const names = madeNames(path.join(pool.root, part), admission.id, `b${index}`);
    return [{ node, bytes, sha256, made: names }];
  });
}
