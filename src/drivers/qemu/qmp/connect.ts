import type net from 'node:net';
import { systemClock } from '../../../clock.ts';
import { godwitError, hasCode } from '../../../errors.ts';
import { connectSocket, type SocketOwner } from '../../../system/files/checked-open.ts';
import { QmpClient } from './client.ts';
import { MonitorSocket } from './monitor-socket.ts';
import { unreachable, type MonitorOwner } from './monitor-end.ts';

const FULL_MS = 20;
export const SECOND_SOCKET =
  'Move it through the manager, or give its QEMU a second QMP socket for Godwit.';

export interface MonitorAddress extends MonitorOwner {
  readonly path: string;
  /** User of its process, who must own the socket. */
  readonly user: SocketOwner;
}

/**
 * Connects to a monitor socket. A monitor serves one client at a time, so hold it briefly. Throws
 * GODWIT_GUEST_MANAGED without a greeting within `greetingMs`, and GODWIT_MONITOR_UNREACHABLE if there is no
 * listener; a caller that knows the process can use judgeEnd then.
 */
export async function connectMonitor(
  address: MonitorAddress,
  greetingMs: number,
  signal: AbortSignal,
): Promise<QmpClient> {
  signal.throwIfAborted();
  const until = performance.now() + greetingMs;
  const connect = (): net.Socket =>
    connectSocket(address.path, address.user, { socket: new MonitorSocket() });
  let socket = connect();
  try {
    for (;;) {
      const full = await connected(socket, signal).then(() => false, isFull);
      if (!full) break;
      if (performance.now() > until) throw managed(address, undefined);
      await systemClock.sleep(FULL_MS, signal);
      socket = connect();
    }
  } catch (cause) {
    socket.destroy();
    if (signal.aborted) throw signal.reason;
    if (hasCode(cause, 'GODWIT_GUEST_MANAGED')) throw cause;
    const what = cause instanceof Error ? cause.message : String(cause);
    throw unreachable(address, `nobody answers at its monitor (${what})`, cause);
  }
  try {
    return await QmpClient.open({ input: socket, output: socket }, address, greetingMs, signal);
  } catch (cause) {
    if (signal.aborted || !hasCode(cause, 'GODWIT_DEADLINE')) throw cause;
    throw managed(address, cause);
  }
}

function managed({ guest }: MonitorAddress, cause: unknown): Error {
  const facts = { guest, manager: 'another program' };
  return godwitError('GODWIT_GUEST_MANAGED', facts, { cause, hint: SECOND_SOCKET });
}

/** The queue has other clients, some of which may have given up unnoticed by QEMU. */
function isFull(error: NodeJS.ErrnoException): true {
  if (error.code === 'EAGAIN') return true;
  throw error;
}

function connected(socket: net.Socket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort);
      socket.removeListener('error', reject);
      resolve();
    });
    socket.once('error', (error) => {
      signal.removeEventListener('abort', onAbort);
      reject(error);
    });
  });
}
