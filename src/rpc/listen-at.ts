import { once } from 'node:events';
import net from 'node:net';
import type { Server } from 'node:net';
import { godwitError } from '../errors.ts';
import type { Log } from '../log.ts';
import { splitAddress } from '../protocol/names.ts';
import { whyNotThere } from './port-holder.ts';

/** Between two tries to listen on an address that this host lacks, ms. */
const AGAIN_MS = 5000;

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Further sockets on which a server takes its connections. */
export interface FurtherListeners {
  /** Takes no more connections; those that came in go on. */
  close(): void;
}

/** Lets `server` take connections at `address`, and at the further ones. GODWIT_CONFIG where it cannot. */
export async function listenAt(
  server: Server,
  address: string,
  further: readonly string[],
  log: Log,
): Promise<FurtherListeners> {
  try {
    const listening = once(server, 'listening');
    server.listen(splitAddress(address));
    await listening;
    return await listenFurther(server, further.map(splitAddress), log);
  } catch (cause) {
    server.close();
    const error = cause as NodeJS.ErrnoException;
    const what = `cannot listen there: ${whyNotThere(error, splitAddress(address))}`;
    const file = [address, ...further].join(', ');
    throw godwitError('GODWIT_CONFIG', { file, what }, { cause, ...listenHint(error) });
  }
}

/** The configuration may be right: what is in the way is a program, or an address that this host does not have. */
function listenHint({ code }: NodeJS.ErrnoException): { hint?: string } {
  if (code === 'EADDRINUSE')
    return { hint: 'Stop the program that has the port, or choose another port in `address`.' };
  if (code === 'EADDRNOTAVAIL')
    return { hint: 'Choose an address of this host (`ip address` lists them) in `address`.' };
  return {};
}

/**
 * Lets `server` take connections on further addresses too, under the same limits. An address that the host does not
 * have now (a link that is down) is reported and tried again; any other failure rejects, with everything closed.
 */
export async function listenFurther(
  server: Server,
  addresses: readonly HostPort[],
  log: Log,
): Promise<FurtherListeners> {
  const open = new Set<Server>();
  let again: NodeJS.Timeout | undefined;
  let closed = false;
  const close = (): void => {
    closed = true;
    clearTimeout(again);
    for (const each of open) each.close();
  };
  const openAll = async (wanted: readonly HostPort[], isLogged: boolean): Promise<void> => {
    const lacking: HostPort[] = [];
    for (const address of wanted) {
      try {
        open.add(await listenThere(server, address));
      } catch (thrown) {
        if ((thrown as NodeJS.ErrnoException).code !== 'EADDRNOTAVAIL') throw thrown;
        if (!isLogged) log.warn({ ...address }, 'address not present on this host now');
        lacking.push(address);
      }
    }
    if (closed) return close();
    if (lacking.length === 0) return;
    again = setTimeout(() => {
      openAll(lacking, true).catch((error: unknown) =>
        log.error({ error }, 'cannot listen on that address'),
      );
    }, AGAIN_MS).unref();
  };
  try {
    await openAll(addresses, false);
  } catch (thrown) {
    close();
    throw thrown;
  }
  return { close };
}

async function listenThere(server: Server, { host, port }: HostPort): Promise<Server> {
  const options = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 };
  const listener = net.createServer(options, (socket) => server.emit('connection', socket));
  listener.maxConnections = server.maxConnections;
  const listening = once(listener, 'listening');
  listener.listen({ host, port });
  await listening;
  return listener;
}
