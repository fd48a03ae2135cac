import type { LiveNode } from './disk-facts.ts';
import type { Recipe } from './disk-schema.ts';

/** Creation options of an image, or the property that a copy would lose. Pure. */
export function recipeOf(image: LiveNode): { readonly make?: Recipe; readonly lost?: string } {
  const { driver, encrypted, snapshots = 0, qcow2 } = image;
  if (encrypted) return { lost: 'it is encrypted, and a copy would have to be made with its key' };
  if (snapshots > 0) return { lost: 'it holds snapshots, which a copy would not have' };
  if (driver !== 'qcow2') return {};
  if (qcow2 === undefined) return { lost: 'QEMU does not report what it was made with' };
  if (qcow2.dataFile) return { lost: 'its data lies in a file of its own' };
  if (qcow2.bitmaps > 0) return { lost: 'it holds dirty bitmaps, which a copy would not have' };
  const { clusterBytes, compat, refcountBits, lazyRefcounts, extendedL2, compression } = qcow2;
  if (compat !== '0.10' && compat !== '1.1') return { lost: `its version ${compat} is unknown` };
  if (compression !== 'zlib' && compression !== 'zstd') {
    return { lost: `its compression ${compression} is unknown` };
  }
  const version = compat === '0.10' ? 'v2' : 'v3';
  return {
    make: { clusterBytes, version, refcountBits, lazyRefcounts, extendedL2, compression },
  };
}
