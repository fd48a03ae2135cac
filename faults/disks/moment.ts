/** The moments of a migration at which its disks are copied: the destination's storage and the source's QEMU report. */
import type { Scene } from '../scene.ts';

const BEGUN_BYTES = 1024 ** 2;

/** Whether the moment of a cell with disks has come. */
export function reachedWithDisks(scene: Scene): boolean {
  const { cell, disks } = scene;
  if (disks === undefined) throw new Error('nobody watches the disks');
  switch (cell.phase) {
    case 'seeding':
      return disks.arrivedBytes(true) > BEGUN_BYTES;
    case 'disks-first-pass':
      return disks.arrivedBytes(false) > BEGUN_BYTES && readyCopies(scene) < disks.copies;
    case 'disks-ready':
      // Post-copy goes over with the first of memory: the moment before its switch is the one before memory.
      return readyCopies(scene) >= disks.copies && (cell.mode === 'postcopy' || isFlowing(scene));
    default:
      // The switch is waited for by events alone.
      return false;
  }
}

function readyCopies({ witness, from }: Scene): number {
  const ready = witness.events.filter((e) => e.host === from && e.name === 'BLOCK_JOB_READY');
  return new Set(ready.map(({ data }) => data['device'])).size;
}

function isFlowing({ witness, from }: Scene): boolean {
  return witness.traffic.some((seen) => seen.host === from && seen.transferred > BEGUN_BYTES);
}
