import { readdir, readlink } from 'node:fs/promises';
import { libc } from '../pager/libc.ts';
import { close, copyFrom } from '../pager/kernel.ts';

/** Socket option with which CRIU freezes a connection during a dump (linux/tcp.h). */
const SOL_TCP = 6;
const TCP_REPAIR = 19;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const INT_BYTES = 4;

/**
 * Ends the repair mode of each TCP connection of these processes, and returns their number. CRIU sets the mode and clears it
 * at its end. If CRIU is killed, the mode stays while the container continues: every read and write fails, and a close sends
 * nothing to the peer. Processes and descriptors that are gone are skipped.
 */
export async function endRepair(pids: readonly number[]): Promise<number> {
  let ended = 0;
  for (const pid of pids) {
    const directory = `/proc/${pid}/fd`;
    for (const name of await readdir(directory).catch(() => [])) {
      const target = await readlink(`${directory}/${name}`).catch(() => '');
      if (target.startsWith('socket:') && endOne(pid, Number(name))) ended += 1;
    }
  }
  return ended;
}

function endOne(pid: number, fd: number): boolean {
  const copy = copyFrom(pid, fd);
  if (copy === undefined) return false;
  try {
    const value = Buffer.alloc(INT_BYTES);
    const length = Buffer.alloc(INT_BYTES);
    length.writeInt32LE(INT_BYTES);
    // Refused for any other kind of socket.
    if (libc().getsockopt(copy, SOL_TCP, TCP_REPAIR, value, length) < 0) return false;
    if (value.readInt32LE() !== 1) return false;
    if (libc().setsockopt(copy, SOL_TCP, TCP_REPAIR, Buffer.alloc(INT_BYTES), INT_BYTES) < 0)
      return false;
    // The kernel forgets it with the mode. A server that is started again could not listen on its port without it.
    value.writeInt32LE(1);
    libc().setsockopt(copy, SOL_SOCKET, SO_REUSEADDR, value, INT_BYTES);
    return true;
  } finally {
    close(copy);
  }
}
