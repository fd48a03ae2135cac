import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { cpioArchive, type ArchiveEntry } from '../lab/image/cpio.ts';
import { guestImage, imageDirectory } from '../lab/image/initramfs.ts';
import { startGuest } from '../lab/guest/start.ts';
import type { LabGuest } from '../lab/guest/registry.ts';
import { startDomain } from '../lab/libvirt/guest.ts';
import { managerOfGuests } from '../lab/plan.ts';
import type { Lab } from '../lab/state.ts';
import { dirtyProgram, type DirtyPlan } from './wire-dirty.ts';
import { ownParts, pageCache, sharesOf } from './wire-mixes.ts';

/**
 * Guests with a mix in memory (`SHARES`): files of this machine as a page cache has them, alike in all guests of one
 * image; and a database, a log and the heap of a real process, in each guest others. They are files of the guest's initramfs,
 * which stay in its memory; the archive is compressed, so that most of the memory is the mix's, and what it took is
 * zeroed when the kernel frees it.
 */
export interface Mixes {
  /** What all guests have in common, as a file of the host: to seed a cache with. */
  readonly image: string;
  /** An initramfs for a guest of this number. */
  initramfs(guest: number): Promise<string>;
  /** Removes what was written. */
  remove(): Promise<void>;
}

const MIB = 1024 ** 2;
const compressed = promisify(zlib.zstdCompress);
/** Before the lab's own. A shell starts nothing in the background without /dev/null. */
const INIT = '#!/bin/sh\n/bin/mount -t devtmpfs dev /dev\n/dirty-pages &\nexec /init\n';
/** Kernel, userland, the pool of random bytes and the part that is dirtied. */
const OTHER_BYTES = 96 * MIB;
/** Checksummed by the guest itself, and random: of the mix's share of that, not beside it. */
const WORKING_SET_BYTES = 4 * MIB;
/** Of the archive, for each byte of the mix: a third, and what may be wrong with that. */
const ARCHIVE = 0.4;

/** Memory for the archive and for what comes out of it at the same time. */
export function mixBytes(memoryBytes: number): number {
  const rest = memoryBytes - OTHER_BYTES - regionBytes(memoryBytes);
  return Math.floor(rest / (1 + ARCHIVE) / MIB) * MIB;
}

/** What is dirtied: a tenth of the memory. */
function regionBytes(memoryBytes: number): number {
  return Math.floor(memoryBytes / 10 / MIB) * MIB;
}

export async function makeMixes(
  memoryBytes: number,
  dirtied: Pick<DirtyPlan, 'bytesPerSecond' | 'rewriteOf'>,
): Promise<Mixes> {
  const bytes = mixBytes(memoryBytes);
  if (bytes < 32 * MIB) throw new RangeError('a guest with a mix needs 160 MiB at least');
  const image = pageCache(sharesOf(bytes, MIB).image);
  const id = randomUUID().slice(0, 8);
  await mkdir(imageDirectory(), { recursive: true });
  const imageFile = path.join(imageDirectory(), `bench-${id}.image`);
  await writeFile(imageFile, image);
  const files = [imageFile];
  return {
    image: imageFile,
    initramfs: async (guest) => {
      const own: [string, Buffer][] = [
        ['image', image],
        ...Object.entries(ownParts(bytes, MIB, guest)),
      ];
      const plan = { guest, regionBytes: regionBytes(memoryBytes), ...dirtied };
      const dirty = dirtyProgram(plan);
      const entries: ArchiveEntry[] = [
        ...own.map(([name, data]): ArchiveEntry => ({ kind: 'file', path: name, data })),
        { kind: 'file', path: 'dirty-pages', data: dirty, mode: 0o755 },
        { kind: 'file', path: 'mix-init', data: Buffer.from(INIT), mode: 0o755 },
      ];
      const { initramfs } = await guestImage();
      const base = await readFile(initramfs);
      // The kernel takes archives one behind the other, each from a multiple of four bytes on.
      const gap = Buffer.alloc((4 - (base.length % 4)) % 4);
      const file = path.join(imageDirectory(), `bench-${id}-${guest}.cpio`);
      files.push(file, `${file}.new`);
      const archive = await compressed(cpioArchive(entries));
      await writeFile(`${file}.new`, Buffer.concat([base, gap, archive]));
      await rename(`${file}.new`, file);
      return file;
    },
    remove: async () => {
      for (const file of files) await rm(file, { force: true });
    },
  };
}

export interface MixedGuest {
  readonly name: string;
  readonly host: string;
  readonly memoryBytes: number;
  readonly initramfs: string;
  readonly signal: AbortSignal;
}

export function startMixedGuest(lab: Lab, guest: MixedGuest): Promise<LabGuest> {
  return (managerOfGuests(lab) === undefined ? startGuest : startDomain)(lab, {
    ...guest,
    workingSetBytes: WORKING_SET_BYTES,
    // A tmpfs, which it would be otherwise, takes half of the memory at most.
    kernelWords: ['init_on_free=1', 'rootfstype=ramfs', 'rdinit=/mix-init'],
  });
}
