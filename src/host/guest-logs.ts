import { constants, type Dirent } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import path from 'node:path';
import type { AgentConfig } from '../config.ts';
import { inOwnDirectory } from '../system/files/checked-open.ts';

/** Default place in a guest's directory; guests cannot create a file of that name. */
const LOGS = 'godwit-logs';

const KEPT_SHARE = 4;

/** Unit of `st_blocks` on every file system. */
const BLOCK_BYTES = 512;

/** A directory with more files contains more than logs. */
const MAX_FILES = 256;

/** A hypervisor may replace its log by a link, a pipe or another's file; none of them is touched. */
const OPEN = constants.O_RDWR | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK;

type Places = Pick<AgentConfig, 'name' | 'stateDir' | 'guestLogs'>;

/** Directory of a guest's serial and console logs, with nothing else in it. */
export function logDirOf(config: Places, guest: string): string {
  const elsewhere = logsElsewhere(config);
  return elsewhere === undefined
    ? path.join(config.stateDir, 'guests', guest, LOGS)
    : path.join(elsewhere, guest);
}

/** This host's directory for all guests' logs, below the configured one; undefined without one. */
export function logsElsewhere({ name, guestLogs }: Places): string | undefined {
  const { directory } = guestLogs;
  return directory === undefined ? undefined : path.join(directory, `godwit-${name}`);
}

export function guestsDirOf({ stateDir }: Pick<Places, 'stateDir'>): string {
  return path.join(stateDir, 'guests');
}

/** The directories of a guest's logs and its hypervisor's output. */
export function logPlacesOf(config: Places, guest: string): readonly [own: string, logs: string] {
  return [path.join(guestsDirOf(config), guest), logDirOf(config, guest)];
}

/** Guests with a directory for logs here. Rejects as readdir does, except for a missing directory. */
export async function guestsWithLogs(config: Places): Promise<string[]> {
  const all = await listed(guestsDirOf(config));
  return all.flatMap((each) => (each.isDirectory() ? [each.name] : []));
}

export async function guestsElsewhere(config: Places): Promise<string[]> {
  const elsewhere = logsElsewhere(config);
  return elsewhere === undefined ? [] : (await listed(elsewhere)).map(({ name }) => name);
}

export interface GuestLog {
  readonly file: string;
  /** The same file, through the open directory, which the hypervisor cannot replace. */
  readonly at: string;
}

interface LogWork {
  /** `at` is valid until this ends. */
  see(log: GuestLog): Promise<void>;
  /** Called for a directory that is a link, another user's, or unreadable; the others are still visited. */
  failed(directory: string, err: unknown): void;
}

export async function eachLog(config: Places, guest: string, work: LogWork): Promise<void> {
  const [own, logDir] = logPlacesOf(config, guest);
  let left = MAX_FILES;
  for (const [directory, ending] of [
    [own, '.log'],
    [logDir, ''],
  ] as const) {
    try {
      await inOwnDirectory(directory, async (at) => {
        const all = await listed(at);
        const logs = all.filter((each) => each.isFile() && each.name.endsWith(ending));
        for (const { name } of logs.slice(0, left)) {
          left -= 1;
          await work.see({ file: path.join(directory, name), at: path.join(at, name) });
        }
      });
    } catch (err) {
      if (!isMissing(err)) work.failed(directory, err);
    }
  }
}

/** Disk use of a log; holes, which writers without append mode leave, take none. */
export async function logSize(file: string): Promise<number> {
  const info = await lstat(file).catch(() => undefined);
  return info?.isFile() === true ? takenBy(info) : 0;
}

/**
 * Cuts a log above `bytes` in place to the last quarter of that, because its writer has it open. Concurrent writes may
 * be lost.
 */
export async function capLog(file: string, bytes: number): Promise<void> {
  const handle = await open(file, OPEN);
  try {
    const info = await handle.stat();
    // A file with a second name may belong to another user.
    if (!info.isFile() || info.nlink !== 1 || takenBy(info) <= bytes) return;
    const kept = Buffer.alloc(Math.floor(bytes / KEPT_SHARE));
    const from = info.size - kept.length;
    const { bytesRead } = await handle.read(kept, 0, kept.length, from);
    await handle.truncate(0);
    await handle.write(`[godwit: ${from} bytes before this were dropped]\n`);
    await handle.write(kept.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

function takenBy({ size, blocks }: { readonly size: number; readonly blocks: number }): number {
  return Math.min(size, blocks * BLOCK_BYTES);
}

/** Empty only for a missing directory: an unreadable one may have any content. */
async function listed(directory: string): Promise<Dirent[]> {
  return readdir(directory, { withFileTypes: true }).catch((err: unknown) => {
    if (isMissing(err)) return [];
    throw err;
  });
}

export function isMissing(err: unknown): boolean {
  return (err as NodeJS.ErrnoException).code === 'ENOENT';
}
