import { randomFillSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { runCommand } from '../command.ts';
import type { Lab } from '../state.ts';
import { storageDirectory } from '../state.ts';
import type { GuestDrive } from './argv.ts';

/** A disk that a guest is to have. */
export interface DiskRequest {
  readonly bytes: number;
  /** A qcow2 image that grows; else a raw file with all its blocks. */
  readonly thin: boolean;
  /** Thin: on a backing file of the same size, which holds nothing. */
  readonly backed?: boolean;
  /** So much of it holds data, in pieces spread over it, and the rest is a hole, also in a raw file. */
  readonly filledBytes?: number;
}

const PIECE_BYTES = 1024 ** 2;
const CONVERT_MS = 300_000;

/** The images of a guest's disks lie here, on the storage of the host where it was started. */
function directoryOf(lab: Lab, host: string, guest: string): string {
  return path.join(storageDirectory(lab, host), guest);
}

/** Makes the images. Throws GODWIT_LAB with what qemu-img says. */
export async function makeDisks(
  lab: Lab,
  { host, guest }: { readonly host: string; readonly guest: string },
  disks: readonly DiskRequest[],
  signal: AbortSignal | undefined,
): Promise<GuestDrive[]> {
  if (disks.length === 0) return [];
  const directory = directoryOf(lab, host, guest);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const drives: GuestDrive[] = [];
  const create = (...words: string[]): Promise<string> =>
    runCommand(['qemu-img', 'create', '-q', ...words], { signal });
  for (const [index, { bytes, thin, backed = false, filledBytes }] of disks.entries()) {
    const format = thin ? 'qcow2' : 'raw';
    const file = path.join(directory, `disk${index}.${format}`);
    if (filledBytes !== undefined) {
      await makeFilled({ file, format, bytes, filledBytes }, signal);
    } else if (!thin) {
      await create('-f', 'raw', '-o', 'preallocation=falloc', file, String(bytes));
    } else if (backed) {
      const base = path.join(directory, `disk${index}-base.qcow2`);
      await create('-f', 'qcow2', base, String(bytes));
      await create('-f', 'qcow2', '-F', 'qcow2', '-b', base, file);
    } else {
      await create('-f', 'qcow2', file, String(bytes));
    }
    drives.push({ file, format, thin: thin || filledBytes !== undefined });
  }
  return drives;
}

/** Where the pieces of a disk's data begin. Pure. */
export function piecesOf(bytes: number, filledBytes: number): number[] {
  const count = Math.min(Math.ceil(filledBytes / PIECE_BYTES), Math.floor(bytes / PIECE_BYTES));
  const stride = Math.floor(bytes / PIECE_BYTES / Math.max(1, count)) * PIECE_BYTES;
  return Array.from({ length: count }, (_, index) => index * stride);
}

async function makeFilled(
  image: { file: string; format: 'raw' | 'qcow2'; bytes: number; filledBytes: number },
  signal: AbortSignal | undefined,
): Promise<void> {
  const { file, format, bytes, filledBytes } = image;
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
  if (format === 'raw') return;
  await runCommand(['qemu-img', 'convert', '-f', 'raw', '-O', format, raw, file], {
    signal,
    deadlineMs: CONVERT_MS,
  });
  await rm(raw);
}

/** Wherever the guest has taken them. */
export async function removeDisks(lab: Lab, guest: string): Promise<void> {
  for (const { name } of lab.members) {
    await rm(directoryOf(lab, name, guest), { recursive: true, force: true });
  }
}

/** Where an image may lie that was made on a host: there, or where its guest has taken it. Those that are there. */
export function placesOf(lab: Lab, startedOn: string, file: string): string[] {
  const part = path.relative(storageDirectory(lab, startedOn), file);
  const places = lab.members.map(({ name }) => path.join(storageDirectory(lab, name), part));
  return [...new Set(places)].filter((place) => existsSync(place));
}
