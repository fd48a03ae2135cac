import { readFile } from 'node:fs/promises';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { godwitError } from '../../../errors.ts';
import { splitAddress } from '../../../protocol/names.ts';
import type { DestinationOptions, StreamSetup } from '../../../port/direct.ts';

/** The connection over which a container goes, from mover to mover: TLS 1.3 with certificates on both sides. */

const CONNECT_MS = 10_000;

export async function connectTo(
  address: string,
  tlsHostname: string | undefined,
  setup: StreamSetup,
  signal: AbortSignal,
): Promise<Duplex> {
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const { credentials } = setup;
  const { host, port } = splitAddress(address);
  const given = credentials === undefined ? undefined : await pems(credentials);
  signal.throwIfAborted();
  const socket =
    given === undefined
      ? net.connect({ host, port }, () => resolve(socket))
      : tls.connect(
          { host, port, ...given, servername: tlsHostname ?? '', minVersion: 'TLSv1.3' },
          () => resolve(socket),
        );
  const timer = setTimeout(() => socket.destroy(new Error('nobody answered')), CONNECT_MS);
  const onAbort = (): void => void socket.destroy(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  socket.on('error', reject);
  socket.on('close', () => reject(new Error('the connection was closed')));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/** Where the destination waits for one connection of its source. */
export interface Listener {
  readonly address: string;
  close(): void;
}

/** GODWIT_PORT_NONE where no port of the range is free. `onPeer`: the first connection whose certificate is the source's. */
export async function listenForSource(
  { host, listenHost, ports }: DestinationOptions,
  setup: StreamSetup,
  onPeer: (stream: Duplex) => void,
): Promise<Listener> {
  const { credentials } = setup;
  const given = credentials === undefined ? undefined : await pems(credentials);
  const server =
    given === undefined
      ? net.createServer(onPeer)
      : tls.createServer(
          { ...given, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' },
          (socket) => {
            const name = credentials?.peer ?? '';
            const wrong = tls.checkServerIdentity(name, socket.getPeerCertificate());
            if (wrong === undefined) onPeer(socket);
            else socket.destroy();
          },
        );
  server.on('tlsClientError', () => {});
  for (let port = ports.from; port <= ports.to; port += 1) {
    if (!(await listens(server, port, listenHost))) continue;
    const shown = listenHost.includes(':') ? `[${listenHost}]` : listenHost;
    return { address: `${shown}:${port}`, close: () => void server.close() };
  }
  throw godwitError('GODWIT_PORT_NONE', { host, from: ports.from, to: ports.to });
}

function listens(server: net.Server, port: number, host: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const onError = (): void => resolve(false);
  server.once('error', onError);
  server.listen({ port, host }, () => {
    server.off('error', onError);
    resolve(true);
  });
  return promise;
}

async function pems({ caFile, certFile, keyFile }: NonNullable<StreamSetup['credentials']>) {
  const [ca, cert, key] = await Promise.all(
    [caFile, certFile, keyFile].map((file) => readFile(file)),
  );
  return { ca, cert, key };
}
