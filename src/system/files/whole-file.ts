import {
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { open, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '../journal-file.ts';

/**
 * Writes a small file atomically and durably, readable only by its owner. Concurrent writers of one file need different
 * `temporary` names.
 */
export function writeWhole(
  file: string,
  content: string | Uint8Array,
  temporary = `${file}.tmp`,
): void {
  const fd = openSync(temporary, 'w', 0o600);
  try {
    // An earlier temporary file keeps its mode.
    fchmodSync(fd, 0o600);
    writeFileSync(fd, content);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSynced(temporary, file);
}

/**
 * Like `writeWhole`, without blocking; durable when it resolves. `pieces` are generated during the write. One write per
 * file at a time.
 */
export async function writeWholeInPieces(file: string, pieces: Iterable<string>): Promise<void> {
  const temporary = `${file}.tmp`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.chmod(0o600);
    await writeFile(handle, pieces);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  const directory = await open(path.dirname(file), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Renames durably: a power loss does not restore the earlier name. */
export function renameSynced(from: string, to: string): void {
  renameSync(from, to);
  syncDirectory(path.dirname(to));
  if (path.dirname(from) !== path.dirname(to)) syncDirectory(path.dirname(from));
}

/** Creates a directory with its parents durably, accessible only to its owner. */
export function makeDirSynced(directory: string): void {
  const first = mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  const top = path.dirname(path.resolve(first));
  for (let at = path.resolve(directory); at !== top; at = path.dirname(at))
    syncDirectory(path.dirname(at));
}
