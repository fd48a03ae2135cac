import { constants } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import type { Dirent } from 'node:fs';
import path from 'node:path';
import type { AgentConfig } from '../config.ts';

/** In a guest's directory, where no other place is configured; no guest can have a file of that name. */
const LOGS = 'godwit-logs';

/** Of a log that is cut, as much of its end is kept. */
const KEPT_SHARE = 4;

/** In which stat counts, whatever the filesystem. */
const BLOCK_BYTES = 512;

/** More files than this in one directory are not a guest's logs. */
const MOST_FILES = 256;

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

/** Guests whose logs may lie here, by their directories. */
export async function guestsWithLogs({ stateDir }: Places): Promise<string[]> {
  const all = await listed(path.join(stateDir, 'guests'));
  return all.flatMap((each) => (each.isDirectory() ? [each.name] : []));
}

/** What is written for a guest without end: its logs, and what its hypervisor says. */
export async function logsOf(config: Places, guest: string): Promise<string[]> {
  const own = path.join(config.stateDir, 'guests', guest);
  const logs = logDirOf(config, guest);
  const [beside, inside] = await Promise.all([listed(own), listed(logs)]);
  const files = (all: readonly Dirent[]): Dirent[] => all.filter((each) => each.isFile());
  return [
    ...files(beside)
      .filter(({ name }) => name.endsWith('.log'))
      .map(({ name }) => path.join(own, name)),
    ...files(inside).map(({ name }) => path.join(logs, name)),
  ].slice(0, MOST_FILES);
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
    // Under a second name it may be anybody's.
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

/** Empty where there is none. */
async function listed(directory: string): Promise<Dirent[]> {
  return readdir(directory, { withFileTypes: true }).catch(() => []);
}
