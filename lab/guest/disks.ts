import { randomFillSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { godwitError } from '../../src/errors.ts';
import { runCommand } from '../command.ts';
import { PASSABLE, storageDirectory, type Lab } from '../state.ts';
import { exportedAs, hasRawDisks, publish, withdraw } from '../storage.ts';
import type { GuestDrive } from './argv.ts';

/** A disk that a guest is to have. */
export interface DiskRequest {
  readonly bytes: number;
  /** A qcow2 image that grows; else a raw file with all its blocks. */
  readonly thin: boolean;
  /** Thin: on a backing file of the same size, which holds what `filledBytes` says, or nothing. */
  readonly backed?: boolean;
  /** So much of it holds data, in pieces spread over it, and the rest is a hole, also in a raw file. */
  readonly filledBytes?: number;
  /** Holds an empty ext4 file system, beside what `filledBytes` says. Not with a backing file. */
  readonly fileSystem?: boolean;
  /** A block device that is there, used as it is; the others say nothing then. */
  readonly device?: string;
}

const PIECE_BYTES = 1024 ** 2;
/**
 * Of a LUN: what both hosts compare has to be found in a sample of it. Of a small one half: the places that a guest
 * writes to are many of its pieces, and only one in sixteen of those that hold data may change between two readings.
 */
const FILLED_PART = 4;
const FILLED_AT_ONCE = 32 * 1024 ** 2;
const CONVERT_MS = 300_000;

/** The images of a guest's disks lie here, on the storage of the host where it was started. */
function directoryOf(lab: Lab, host: string, guest: string): string {
  return path.join(storageDirectory(lab, host), guest);
}

/** A disk that was made: its file, or where there is none its name to QEMU; and what QEMU opens. */
export interface MadeDisk {
  readonly file: string;
  readonly drive: GuestDrive;
}

/** Makes the images. Throws GODWIT_LAB with what qemu-img says. */
export async function makeDisks(
  lab: Lab,
  { host, guest }: { readonly host: string; readonly guest: string },
  disks: readonly DiskRequest[],
  signal: AbortSignal | undefined,
): Promise<MadeDisk[]> {
  if (disks.length === 0) return [];
  const directory = directoryOf(lab, host, guest);
  await mkdir(directory, { recursive: true, mode: PASSABLE });
  const made: MadeDisk[] = [];
  for (const [index, disk] of disks.entries()) {
    const { device } = disk;
    if (device !== undefined) {
      made.push({ file: device, drive: { file: device, format: 'raw', thin: true } });
      continue;
    }
    const plan = hasRawDisks(lab) ? rawOnly(lab, disk) : disk;
    const image = await makeImage(lab, { host, directory, index, disk: plan }, signal);
    const opened = await publish(lab, { host, file: image.file, image: `${guest}-disk${index}` });
    made.push({
      file: hasRawDisks(lab) ? opened : image.file,
      drive: { ...image, file: opened },
    });
  }
  return made;
}

/** What is made of a disk where all are raw: holes instead of qcow2, and something that a sample finds in a LUN. */
function rawOnly(lab: Lab, disk: DiskRequest): DiskRequest {
  if (disk.backed === true) {
    const what = `a backing file in a lab with --storage ${lab.storage}`;
    throw godwitError('GODWIT_USAGE', { what }, { hint: 'Choose --storage nfs, or shared.' });
  }
  const small = Math.min(disk.bytes / 2, FILLED_AT_ONCE);
  const least = lab.storage === 'iscsi' ? Math.ceil(Math.max(disk.bytes / FILLED_PART, small)) : 0;
  const filledBytes = Math.max(disk.filledBytes ?? 0, least);
  return { ...disk, thin: false, filledBytes };
}

async function makeImage(
  lab: Lab,
  at: {
    readonly host: string;
    readonly directory: string;
    readonly index: number;
    readonly disk: DiskRequest;
  },
  signal: AbortSignal | undefined,
): Promise<GuestDrive> {
  const { host, directory, index } = at;
  const { bytes, thin, backed = false, filledBytes, fileSystem } = at.disk;
  const create = (...words: string[]): Promise<string> =>
    runCommand(['qemu-img', 'create', '-q', ...words], { signal });
  const format = thin ? 'qcow2' : 'raw';
  const file = path.join(directory, `disk${index}.${format}`);
  if (backed) {
    const base = path.join(directory, `disk${index}-base.qcow2`);
    if (filledBytes === undefined) await create('-f', 'qcow2', base, String(bytes));
    else await makeFilled({ file: base, format: 'qcow2', bytes, filledBytes }, signal);
    const below = exportedAs(lab, host, base);
    // Unsafe (-u): where the guest's QEMU will look for it, this machine cannot.
    await create('-u', '-f', 'qcow2', '-F', 'qcow2', '-b', below, file, String(bytes));
  } else if (filledBytes !== undefined || fileSystem === true) {
    await makeFilled({ file, format, bytes, filledBytes: filledBytes ?? 0, fileSystem }, signal);
  } else if (!thin) {
    await create('-f', 'raw', '-o', 'preallocation=falloc', file, String(bytes));
  } else {
    await create('-f', 'qcow2', file, String(bytes));
  }
  const holes = filledBytes !== undefined || fileSystem === true;
  return { file, format, thin: thin || holes };
}

/** Where the pieces of a disk's data begin. Pure. */
export function piecesOf(bytes: number, filledBytes: number): number[] {
  const count = Math.min(Math.ceil(filledBytes / PIECE_BYTES), Math.floor(bytes / PIECE_BYTES));
  const stride = Math.floor(bytes / PIECE_BYTES / Math.max(1, count)) * PIECE_BYTES;
  return Array.from({ length: count }, (_, index) => index * stride);
}

interface FilledImage {
  readonly file: string;
  readonly format: 'raw' | 'qcow2';
  readonly bytes: number;
  readonly filledBytes: number;
  readonly fileSystem?: boolean | undefined;
}

async function makeFilled(image: FilledImage, signal: AbortSignal | undefined): Promise<void> {
  const { file, format, bytes, filledBytes, fileSystem = false } = image;
  const raw = format === 'raw' ? file : `${file}.filling`;
  const piece = Buffer.alloc(PIECE_BYTES);
  const handle = await open(raw, 'wx', 0o600);
  try {
    await handle.truncate(bytes);
    for (const at of piecesOf(bytes, filledBytes)) {
      signal?.throwIfAborted();
      // Like no other piece: nothing on the way could make it smaller.
      await handle.write(randomFillSync(piece), 0, PIECE_BYTES, at);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  if (fileSystem) await makeFileSystem(raw, signal);
  if (format === 'raw') return;
  await runCommand(['qemu-img', 'convert', '-f', 'raw', '-O', format, raw, file], {
    signal,
    deadlineMs: CONVERT_MS,
  });
  await rm(raw);
}

/** Small, and all of it written now: the guest's kernel has nothing left to do in the background. */
const MKFS = 'mkfs.ext4 -q -F -N 256 -J size=4 -E nodiscard,lazy_itable_init=0,lazy_journal_init=0';

async function makeFileSystem(file: string, signal: AbortSignal | undefined): Promise<void> {
  await runCommand([...MKFS.split(' '), file], { signal, deadlineMs: CONVERT_MS });
}

/** Wherever the guest has taken them. */
export async function removeDisks(lab: Lab, guest: string): Promise<void> {
  for (const { name } of lab.members) {
    const directory = directoryOf(lab, name, guest);
    await withdraw(lab, guest, directory);
    await rm(directory, { recursive: true, force: true });
  }
}

/** Where an image may lie that was made on a host: there, or where its guest has taken it. Those that are there. */
export function placesOf(lab: Lab, startedOn: string, file: string): string[] {
  const part = path.relative(storageDirectory(lab, startedOn), file);
  const places = lab.members.map(({ name }) => path.join(storageDirectory(lab, name), part));
  return [...new Set(places)].filter((place) => existsSync(place));
}
