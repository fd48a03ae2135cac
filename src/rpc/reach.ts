import net from 'node:net';
import { splitAddress } from '../protocol/names.ts';

/** Whether the path to an address is open now; never rejects but by the signal. */
export type Reach = (address: string, timeoutMs: number, signal: AbortSignal) => Promise<boolean>;

/**
 * What a host’s kernel said to a connection. `unreachable`: a kernel says that there is no path to it, this host’s own or
 * a router’s. `unknown`: the question could not be asked.
 */
export interface KernelWord {
  readonly what: 'answer' | 'silence' | 'unreachable' | 'unknown';
  /** For people. */
  readonly said: string;
}

/** Asks once; never rejects but by the signal. */
export type AskKernel = (
  address: string,
  timeoutMs: number,
  signal: AbortSignal,
) => Promise<KernelWord>;

/**
 * Asks the other host's kernel alone: a process that is busy, frozen or gone does not make its host unreachable. A
 * connection that is refused came back over the same path.
 */
export const askKernel: AskKernel = (address, timeoutMs, signal) => {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<KernelWord>();
  const socket = net.connect(splitAddress(address));
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  const said = `nothing within ${timeoutMs} ms`;
  // An answer that lies there already is read before silence is concluded.
  const timer = setTimeout(() => setImmediate(() => resolve({ what: 'silence', said })), timeoutMs);
  socket.once('connect', () => resolve({ what: 'answer', said: 'it takes connections' }));
  socket.once('error', (error: NodeJS.ErrnoException) => resolve(wordOf(error)));
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    socket.destroy();
  });
};

function wordOf({ code, message }: NodeJS.ErrnoException): KernelWord {
  switch (code) {
    case 'ECONNREFUSED':
      return { what: 'answer', said: 'it refuses connections' };
    case 'ECONNRESET':
      return { what: 'answer', said: 'it resets connections' };
    case 'ETIMEDOUT':
      return { what: 'silence', said: 'nothing' };
    case 'EHOSTUNREACH':
    case 'EHOSTDOWN':
      return { what: 'unreachable', said: code };
    default:
      return { what: 'unknown', said: code ?? message };
  }
}

/** Whether somebody takes connections at a unix socket. */
export async function isServed(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ path: file });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
