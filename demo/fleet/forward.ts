import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import { withDeadline } from '../../src/deadline.ts';
import { inHost } from '../../lab/entry.ts';
import { labEnvironment } from '../../lab/environment.ts';
import type { Lab } from '../../lab/state.ts';

const PROGRAM = fileURLToPath(new URL('forward-main.ts', import.meta.url));
const START_DEADLINE_MS = 20_000;

/** A socket on the machine's own loopback, on a port that was free; nobody serves it yet. */
export async function openForward(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

/**
 * Has a process on `host` of the lab serve the socket: what connects there comes out at the same port of
 * that host's loopback. The process is one of the lab's and ends with it.
 */
export async function serveForward(
  lab: Lab,
  host: string,
  { server, port }: { readonly server: Server; readonly port: number },
  signal: AbortSignal,
): Promise<void> {
  const [program = '', ...args] = inHost(lab, host, [
    process.execPath,
    PROGRAM,
    `127.0.0.1:${port}`,
  ]);
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    cwd: '/',
    env: labEnvironment(lab),
  });
  try {
    await withDeadline('the path to the dashboard', START_DEADLINE_MS, signal, async (inner) => {
      child.send('take', server);
      await once(child, 'message', { signal: inner });
    });
  } finally {
    server.close();
    if (child.connected) child.disconnect();
    child.unref();
  }
}
