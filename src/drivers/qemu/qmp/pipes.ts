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
 * A monitor on two named pipes, for post-copy. QEMU takes commands out of band only from a client that has said so,
 * and it hears that in its main loop; which, at the destination of a broken post-copy, waits for a page and hears
 * nothing. A pipe has no connection that could end: what one mover said once holds for all that come after it.
 */

const run = promisify(execFile);
const MKFIFO_MS = 5000;
const GREETING_MS = 5000;
const CHUNK_BYTES = 64 * 1024;
/** A guest that says more than this between two readings is read on at the next. */
const MAX_CHUNKS = 64;

const file = (guestDir: string, direction: 'in' | 'out'): string =>
  path.join(guestDir, `${PIPES}.${direction}`);

/** Makes them, for the program that is about to start in `guestDir`; `group`: its own, where it is not of our user. */
export async function makePipes(
  guestDir: string,
  signal: AbortSignal,
  group?: number,
): Promise<void> {
  const files = [file(guestDir, 'in'), file(guestDir, 'out')];
  // Of a mover that died before it could start the program.
  await Promise.all(files.map((each) => rm(each, { force: true })));
  await run('mkfifo', ['-m', '600', ...files], { signal, timeout: MKFIFO_MS });
  if (group === undefined) return;
  for (const each of files) {
    await chown(each, process.geteuid?.() ?? 0, group);
    await chmod(each, 0o660);
  }
}

/** Says, while the program's main loop still hears, that commands will come out of band. */
export async function negotiatePipes(
  guestDir: string,
  owner: MonitorOwner,
  signal: AbortSignal,
): Promise<void> {
  const client = await QmpClient.open(transport(guestDir, owner), owner, GREETING_MS, signal);
  client.close();
}

/** The monitor as a former mover left it: takes `urgent` commands at once, and answers no others for now. */
export async function reopenPipes(guestDir: string, owner: MonitorOwner): Promise<QmpClient> {
  emptyPipe(file(guestDir, 'out'));
  return QmpClient.resume(transport(guestDir, owner), owner);
}

/** Reads away what the monitors of all guests below `guestsDir` said and nobody read; QEMU would keep it for ever. */
export async function emptyPipes(guestsDir: string): Promise<void> {
  const guests = await readdir(guestsDir).catch(() => []);
  for (const guest of guests) {
    try {
      emptyPipe(file(path.join(guestsDir, guest), 'out'));
    } catch {
      // Most guests have none.
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
    // Nothing more in it now.
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  } finally {
    closeSync(fd);
  }
}

/** A pipe that we made: QEMU may have put something else under a name that had none. */
function openPipe(name: string, flags: number): number {
  return openFound(name, flags | constants.O_NONBLOCK, (found: Stats) =>
    found.isFIFO() && found.uid === process.geteuid?.() ? undefined : 'no pipe of ours',
  );
}

/** Without QEMU at the other end, the first of the two fails at once instead of waiting for one. */
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
