import { constants, type Dirent } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import path from 'node:path';
import type { AgentConfig } from '../config.ts';
import { inOwnDirectory } from '../system/files/checked-open.ts';

/** In a guest's directory, where no other place is configured; no guest can have a file of that name. */
const LOGS = 'godwit-logs';

/** Of a log that is cut, as much of its end is kept. */
const KEPT_SHARE = 4;

/** In which stat counts, whatever the filesystem. */
const BLOCK_BYTES = 512;

/** More files than this in one directory are not a guest's logs. */
const MAX_FILES = 256;

/** A hypervisor may put a link, a pipe or another's file in the place of its log: none of them is touched. */
const OPEN = constants.O_RDWR | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK;

type Places = Pick<AgentConfig, 'name' | 'stateDir' | 'guestLogs'>;

/** Where a guest's serial ports and consoles write their logs on this host: a directory with nothing else in it. */
export function logDirOf(config: Places, guest: string): string {
  const elsewhere = logsElsewhere(config);
  return elsewhere === undefined
    ? path.join(config.stateDir, 'guests', guest, LOGS)
    : path.join(elsewhere, guest);
}

/** The directory of all guests' logs that this host alone uses, in the one that is configured; undefined where none is. */
export function logsElsewhere({ name, guestLogs }: Places): string | undefined {
  const { directory } = guestLogs;
  return directory === undefined ? undefined : path.join(directory, `godwit-${name}`);
}

/** The directory of the guests' own directories. */
export function guestsDirOf({ stateDir }: Pick<Places, 'stateDir'>): string {
  return path.join(stateDir, 'guests');
}

/** Where a guest's logs lie, and what its hypervisor says. */
export function logPlacesOf(config: Places, guest: string): readonly [own: string, logs: string] {
  return [path.join(guestsDirOf(config), guest), logDirOf(config, guest)];
}

/** Guests whose logs may lie here, by their directories. Rejects as readdir does, but where there is no such directory. */
export async function guestsWithLogs(config: Places): Promise<string[]> {
  const all = await listed(guestsDirOf(config));
  return all.flatMap((each) => (each.isDirectory() ? [each.name] : []));
}

/** Guests that have a directory where logs lie elsewhere. Rejects as guestsWithLogs does. */
export async function guestsElsewhere(config: Places): Promise<string[]> {
  const elsewhere = logsElsewhere(config);
  return elsewhere === undefined ? [] : (await listed(elsewhere)).map(({ name }) => name);
}

export interface GuestLog {
  readonly file: string;
  /** The same file, by the directory that is open: the hypervisor cannot put another directory in its place. */
  readonly at: string;
}

interface LogWork {
  /** `at` is valid until this ends. */
  see(log: GuestLog): Promise<void>;
  /** A directory that is a link, another user's, or cannot be read; the others are still seen. */
  failed(directory: string, err: unknown): void;
}

/** Goes through what is written for a guest without end: its logs, and what its hypervisor says. */
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

/** What a log takes on its disk; a writer that does not append leaves a hole before its place, which takes nothing. */
export async function logSize(file: string): Promise<number> {
  const info = await lstat(file).catch(() => undefined);
  return info?.isFile() === true ? takenBy(info) : 0;
}

/**
 * Cuts a log that takes more than `bytes` on its disk to the last quarter of that, in its place: its writer has it open.
 * What is written in that moment may be lost.
 */
export async function capLog(file: string, bytes: number): Promise<void> {
  const handle = await open(file, OPEN);
  try {
    const info = await handle.stat();
    // A file with a second name may belong to anybody.
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

/** Empty only where there is no such directory: one that cannot be read may hold anything. */
async function listed(directory: string): Promise<Dirent[]> {
  return readdir(directory, { withFileTypes: true }).catch((err: unknown) => {
    if (isMissing(err)) return [];
    throw err;
  });
}

export function isMissing(err: unknown): boolean {
  return (err as NodeJS.ErrnoException).code === 'ENOENT';
}
