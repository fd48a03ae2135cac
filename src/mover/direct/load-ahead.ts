import { loadDrivers } from '../../drivers/registry.ts';

/**
 * Loads what a mover of either side, or a checker, loads once it is asked for it. A process that does this and ends has it
 * compiled for the next ones: one that compiles takes 20 MB and some hundred milliseconds more.
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
