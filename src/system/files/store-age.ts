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

/** What distinguishes a file from a copy of it, and a filesystem's first file of a number from a later one. */
const storeFile = z.object({
  since: moment,
  inode: z.number(),
  /** When the file was made, ms since 1970; 0 where the filesystem does not say. */
  bornMs: z.number(),
});

/**
 * Since when `stateDir` has been what it is now, ISO 8601: since it was made, or since it was put back from a backup.
 * Of the time before, a host only knows what the backup had. Undefined where no agent has looked yet.
 *
 * A restore is seen by `store.json` being another file than the one that was written: a copy has another inode and
 * another time of birth. A whole filesystem that is rolled back to a snapshot is not seen.
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

/** Whether this host's state was put back, or made anew, after the migration of that moment began (ISO 8601). */
export function isRestored(stateDir: string, createdAt: string): boolean {
  const since = storeSince(stateDir);
  return since !== undefined && since > createdAt;
}

/** The same, written down where it is not yet, or no more: then it is `now`, ISO 8601. For the agent, at its start. */
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
