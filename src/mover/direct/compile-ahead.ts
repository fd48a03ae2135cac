import { loadDrivers } from '../../drivers/registry.ts';

/**
 * Loads what a mover of either side, or a checker, loads once it is asked for it, to have it compiled ahead: a process that
 * compiles takes 20 MB and some hundred milliseconds more.
 */
export async function loadAll(): Promise<void> {
  await Promise.all([
    loadDrivers(),
    import('../../migration/prediction/data-path.ts'),
    import('../../disks/proof/iscsi/lun.ts'),
    import('../../disks/proof/nfs/client.ts'),
    import('../../disks/volumes/lvm.ts'),
    import('../../disks/volumes/zfs.ts'),
  ]);
}
