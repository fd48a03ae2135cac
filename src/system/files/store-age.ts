import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { moment } from '../../protocol/names.ts';
import { renameSynced } from './whole-file.ts';

/** Distinguishes a file from its copy, and from an earlier file with the same inode. */
const storeFile = z.object({
  since: moment,
  inode: z.number(),
  /** Creation time, ms since 1970; 0 if the file system stores none. */
  bornMs: z.number(),
});

/**
 * Since when `stateDir` is continuous, ISO 8601: since its creation or its last restore. For the time before, a host
 * has only the backup's knowledge. Undefined before an agent's first start.
 *
 * A restore is detected because `store.json` is another file than was written: a copy has another inode and birth time.
 * A rollback of the whole file system to a snapshot is not detected.
 */
export function storeSince(stateDir: string): string | undefined {
  const file = path.join(stateDir, 'store.json');
  try {
    const { since, inode, bornMs } = storeFile.parse(JSON.parse(readFileSync(file, 'utf8')));
    const seen = statSync(file);
    return seen.ino === inode && bornOf(seen) === bornMs ? since : undefined;
  } catch {
    return undefined;
  }
}

/** Tells whether this host's state was restored or recreated after a migration began (`createdAt`, ISO 8601). */
export function isRestored(stateDir: string, createdAt: string): boolean {
  const since = storeSince(stateDir);
  return since !== undefined && since > createdAt;
}

/** Like `storeSince`; records `now` (ISO 8601) if there is no valid record. Called when the agent starts. */
export function ageStore(stateDir: string, now: string): string {
  const known = storeSince(stateDir);
  if (known !== undefined) return known;
  const file = path.join(stateDir, 'store.json');
  const fd = openSync(`${file}.tmp`, 'w', 0o600);
  try {
    const seen = fstatSync(fd);
    writeSync(fd, `${JSON.stringify({ since: now, inode: seen.ino, bornMs: bornOf(seen) })}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSynced(`${file}.tmp`, file);
  return now;
}

function bornOf({ birthtimeMs }: { birthtimeMs: number }): number {
  return Math.trunc(birthtimeMs);
}
