import { loadDrivers } from '../../drivers/registry.ts';

/**
 * Loads all modules that a mover or checker loads on demand, so that a process leaves compiled code for the next
 * ones. Compiling costs 20 MB and some hundred ms.
 */
export async function loadAhead(): Promise<void> {
  await Promise.all([
    loadDrivers(),
    import('../../migration/prediction/data-path.ts'),
    import('../../disks/proof/iscsi/lun.ts'),
    import('../../disks/proof/nfs/client.ts'),
    import('../../disks/volumes/lvm.ts'),
    import('../../disks/volumes/zfs.ts'),
  ]);
}
