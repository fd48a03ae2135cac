import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { syncDirectory } from './journal-file.ts';

/** Writes a small file of this host's own, whole or not at all: it lies on the disk when this returns. */
export function writeWhole(file: string, content: string | Uint8Array): void {
  writeFileSync(`${file}.tmp`, content, { mode: 0o600, flush: true });
  renameSync(`${file}.tmp`, file);
  syncDirectory(path.dirname(file));
}
