import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { godwitError } from '../../errors.ts';
import type { MoverRequest } from '../../protocol/mover/request.ts';
import { unixSockets } from '../../system/kernel-tables.ts';
import { opens, pids } from '../../system/processes/process.ts';

export interface LockedSide {
  /** stateDir/migrations/<id>, accessible only to its owner. */
  readonly dir: string;
  readonly host: string;
  readonly id: string;
  readonly side: MoverRequest['side'];
}

export interface HeldMigration {
  release(): void;
}

/** SQLITE_BUSY: another process has the lock. */
const BUSY = 5;

/**
 * Locks one side of a migration for this process: GODWIT_INTERNAL while another process has it, GODWIT_JOURNAL if the
 * file cannot be locked. The kernel releases the lock when the process ends in any way, so there are no stale locks and
 * no races. Node cannot lock files, but its SQLite can: opening an empty database for one writer does only that.
 */
export async function holdMigration(locked: LockedSide): Promise<HeldMigration> {
  const { dir, host, id, side } = locked;
  const file = path.join(dir, `mover-${side}.lock`);
  // Created first, for its mode: closing it later would release the lock.
  closeSync(openSync(file, 'a', 0o600));
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    if ((cause as { errcode?: unknown }).errcode === BUSY) throw refusal(id, side, cause);
    const reason = `${file} cannot be locked: ${cause instanceof Error ? cause.message : 'no reason'}`;
    throw godwitError('GODWIT_JOURNAL', { host, reason }, { cause });
  }
  return besideEarlierMovers(locked, database);
}

/**
 * Movers of earlier builds hold an abstract socket instead. It is taken as well, against such a mover that starts now.
 * If it is already taken, only a process of this user counts, because any user can take the name.
 */
async function besideEarlierMovers(
  { host, id, side }: LockedSide,
  database: DatabaseSync,
): Promise<HeldMigration> {
  const name = `godwit-mover-${host}-${id}-${side}`;
  const server = net.createServer((socket) => socket.destroy());
  const cause = await new Promise<Error | undefined>((resolve) => {
    server.once('error', resolve);
    server.listen(`\0${name}`, () => resolve(undefined));
  });
  server.unref();
  if (cause !== undefined && isOurs(name)) {
    database.close();
    throw refusal(id, side, cause);
  }
  return {
    release: () => {
      server.close();
      database.close();
    },
  };
}

function refusal(id: string, side: string, cause: unknown): Error {
  const what = `another mover already works on the ${side} side of ${id}`;
  return godwitError('GODWIT_INTERNAL', { what }, { cause });
}

/** Tells whether another process of this user holds that abstract socket. */
function isOurs(name: string): boolean {
  const all = unixSockets(readFileSync('/proc/net/unix', 'utf8'));
  const held = all.find(({ boundTo }) => boundTo === `@${name}`);
  if (held === undefined) return false;
  const socket = `socket:[${held.inode}]`;
  return pids().some((pid) => isUsers(pid) && opens(pid, (target) => target === socket));
}

function isUsers(pid: number): boolean {
  return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid === process.geteuid?.();
}
