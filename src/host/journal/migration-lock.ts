import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { godwitError } from '../../errors.ts';
import type { MoverRequest } from '../../protocol/mover/request.ts';
import { unixSockets } from '../../system/kernel-tables.ts';
import { opens, pids } from '../../system/processes/process.ts';

/** What is held: one side of a migration on this host. */
export interface LockedSide {
  /** stateDir/migrations/<id>, which only its owner may enter. */
  readonly dir: string;
  readonly host: string;
  readonly id: string;
  readonly side: MoverRequest['side'];
}

export interface HeldMigration {
  release(): void;
}

/** SQLITE_BUSY: somebody else has the lock. */
const BUSY = 5;

/**
 * Holds one side of a migration for this process alone: GODWIT_INTERNAL while another process has it, GODWIT_JOURNAL
 * where the file cannot be locked. The kernel holds
 * the lock on a file in the migration's directory and frees it when the process ends, however it ends: there is no stale
 * lock to judge, and no moment in which two can take it. Node has no call that locks a file; its SQLite has, and opening
 * an empty database for one writer does nothing else.
 */
export async function holdMigration(locked: LockedSide): Promise<HeldMigration> {
  const { dir, host, id, side } = locked;
  const file = path.join(dir, `mover-${side}.lock`);
  // Made before it is locked, for its mode: whoever closes it later would give the lock up.
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
 * Movers of builds before lock files hold a name among abstract sockets. It is taken too, so that one of them that starts
 * now finds it taken; where it is taken already, only a process of this user counts: any user can take such a name.
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

/** Whether another process of this user holds that abstract socket, as the kernel lists it. */
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
