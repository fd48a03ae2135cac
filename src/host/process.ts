import { readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { godwitError } from '../errors.ts';
import type { GodwitError } from '../errors.ts';
import type { MoverState } from '../protocol/mover/request.ts';

/** What a mover does with itself as a process: one per migration and side, found again by its agent. */

/** Start time of a process in clock ticks; with the pid it names one process for good. */
export function startTicksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name in brackets and may hold anything.
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
}

export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/**
 * Holds the migration for this process alone: an abstract socket's name can be bound once in a network namespace,
 * and the kernel frees it when the process ends, however it ends.
 */
export async function holdMigration(id: string, side: string): Promise<net.Server> {
  const server = net.createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const what = `another mover already works on the ${side} side of ${id}`;
      reject(godwitError('GODWIT_INTERNAL', { what }, { cause }));
    });
    server.listen(`\0godwit-mover-${id}-${side}`, resolve);
  });
  server.unref();
  return server;
}

/** Writes mover.json, then says `ready` to whoever started this process (file descriptor 3). */
export function sayReady(dir: string, state: MoverState): void {
  const file = path.join(dir, 'mover.json');
  writeFileSync(`${file}.tmp`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
  tellStarter('ready');
}

/** Says to whoever started this process why it cannot work; nothing where nobody waits any more. */
export function sayWhyNot(error: GodwitError): void {
  tellStarter(JSON.stringify(error));
}

function tellStarter(line: string): void {
  try {
    writeSync(3, `${line}\n`);
  } catch {
    // Started by hand, or long ago: nobody waits.
  }
}
