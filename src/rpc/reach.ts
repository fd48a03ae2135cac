import net from 'node:net';
import { splitAddress } from '../protocol/names.ts';

/** Whether the way to an address is open now; never rejects but by the signal. */
export type Reach = (address: string, timeoutMs: number, signal: AbortSignal) => Promise<boolean>;

/**
 * Asks the other host's kernel alone: a process that is busy, frozen or gone does not make its host unreachable. A
 * connection that is refused came back over the same way.
 */
export const reach: Reach = (address, timeoutMs, signal) => {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const socket = net.connect(splitAddress(address));
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => resolve(false), timeoutMs);
  socket.once('connect', () => resolve(true));
  socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'));
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    socket.destroy();
  });
};
