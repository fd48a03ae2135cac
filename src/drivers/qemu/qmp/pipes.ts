import { execFile } from 'node:child_process';
import { closeSync, constants, readSync, type Stats } from 'node:fs';
import { chmod, chown, readdir, rm } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { openFound } from '../../../system/files/checked-open.ts';
import { PIPES } from '../spec/names.ts';
import { QmpClient, type Transport } from './client.ts';
import { unreachable, type MonitorOwner } from './monitor-end.ts';

/**
 * Monitor on two named pipes, for post-copy. QEMU accepts out-of-band commands only after a negotiation in its
 * main loop, which waits for a page in a broken post-copy. A pipe has no connection that could end, so one
 * mover's negotiation holds for all later movers.
 */

const run = promisify(execFile);
const MKFIFO_MS = 5000;
const GREETING_MS = 5000;
const CHUNK_BYTES = 64 * 1024;
const MAX_CHUNKS = 64;

const file = (guestDir: string, direction: 'in' | 'out'): string =>
  path.join(guestDir, `${PIPES}.${direction}`);

/**
 * Creates them for the program that will start in `guestDir`; `group`: the program's group, if its user is not
 * ours.
 */
export async function makePipes(
  guestDir: string,
  signal: AbortSignal,
  group?: number,
): Promise<void> {
  const files = [file(guestDir, 'in'), file(guestDir, 'out')];
  // Left by a mover that died before it could start the program.
  await Promise.all(files.map((each) => rm(each, { force: true })));
  await run('mkfifo', ['-m', '600', ...files], { signal, timeout: MKFIFO_MS });
  if (group === undefined) return;
  for (const each of files) {
    await chown(each, process.geteuid?.() ?? 0, group);
    await chmod(each, 0o660);
  }
}

/** Enables out-of-band commands while the program's main loop still works. */
export async function negotiatePipes(
  guestDir: string,
  owner: MonitorOwner,
  signal: AbortSignal,
): Promise<void> {
  const client = await QmpClient.open(transport(guestDir, owner), owner, GREETING_MS, signal);
  client.close();
}

/** Reopens the monitor after an earlier mover: it takes `urgent` commands at once and answers no others for now. */
export async function reopenPipes(guestDir: string, owner: MonitorOwner): Promise<QmpClient> {
  emptyPipe(file(guestDir, 'out'));
  return QmpClient.resume(transport(guestDir, owner), owner);
}

/** Discards unread output of all monitors below `guestsDir`; QEMU would keep it forever. */
export async function emptyPipes(guestsDir: string): Promise<void> {
  const guests = await readdir(guestsDir).catch(() => []);
  for (const guest of guests) {
    try {
      emptyPipe(file(path.join(guestsDir, guest), 'out'));
    } catch {
      // Most guests have no pipes.
    }
  }
}

function emptyPipe(name: string): void {
  const fd = openPipe(name, constants.O_RDONLY);
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let count = 0; count < MAX_CHUNKS; count += 1) {
      if (readSync(fd, chunk, 0, chunk.length, null) === 0) return;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  } finally {
    closeSync(fd);
  }
}

/** Opens a pipe that Godwit made: QEMU may have created something else under an unused name. */
function openPipe(name: string, flags: number): number {
  return openFound(name, flags | constants.O_NONBLOCK, (found: Stats) =>
    found.isFIFO() && found.uid === process.geteuid?.() ? undefined : 'no pipe of ours',
  );
}

/** Without QEMU at the other end, the first open fails at once instead of waiting. */
function transport(guestDir: string, owner: MonitorOwner): Transport {
  try {
    const writing = openPipe(file(guestDir, 'in'), constants.O_WRONLY);
    const output = new net.Socket({ fd: writing, readable: false, writable: true });
    try {
      const reading = openPipe(file(guestDir, 'out'), constants.O_RDONLY);
      return { input: new net.Socket({ fd: reading, readable: true, writable: false }), output };
    } catch (error) {
      output.destroy();
      throw error;
    }
  } catch (cause) {
    throw unreachable(owner, `its monitor's pipes cannot be opened (${String(cause)})`, cause);
  }
}
