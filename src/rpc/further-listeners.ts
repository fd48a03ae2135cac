import { once } from 'node:events';
import net from 'node:net';
import type { Server } from 'node:net';
import type { Log } from '../log.ts';

/** Between two tries to listen on an address that this host lacks, ms. */
const AGAIN_MS = 5000;

export interface Door {
  readonly host: string;
  readonly port: number;
}

/** Further sockets on which a server takes its connections. */
export interface Doors {
  /** Takes no more connections; those that came in go on. */
  close(): void;
}

/**
 * Lets `server` take connections on further addresses too, under the same limits. An address that the host does not
 * have now (a link that is down) is reported and tried again; any other failure rejects, with everything closed.
 */
export async function openDoors(server: Server, doors: readonly Door[], log: Log): Promise<Doors> {
  const open = new Set<Server>();
  let again: NodeJS.Timeout | undefined;
  let closed = false;
  const close = (): void => {
    closed = true;
    clearTimeout(again);
    for (const each of open) each.close();
  };
  const openAll = async (wanted: readonly Door[], isLogged: boolean): Promise<void> => {
    const lacking: Door[] = [];
    for (const door of wanted) {
      try {
        open.add(await openDoor(server, door));
      } catch (thrown) {
        if ((thrown as NodeJS.ErrnoException).code !== 'EADDRNOTAVAIL') throw thrown;
        if (!isLogged) log.warn({ ...door }, 'this host does not have that address now');
        lacking.push(door);
      }
    }
    if (closed) return close();
    if (lacking.length === 0) return;
    again = setTimeout(() => {
      openAll(lacking, true).catch((error: unknown) => log.error({ error }, 'cannot listen there'));
    }, AGAIN_MS).unref();
  };
  try {
    await openAll(doors, false);
  } catch (thrown) {
    close();
    throw thrown;
  }
  return { close };
}

async function openDoor(server: Server, { host, port }: Door): Promise<Server> {
  const options = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 };
  const door = net.createServer(options, (socket) => server.emit('connection', socket));
  door.maxConnections = server.maxConnections;
  const listening = once(door, 'listening');
  door.listen({ host, port });
  await listening;
  return door;
}
