import { readFile } from 'node:fs/promises';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { godwitError, type GodwitError } from '../../../errors.ts';
import { defined } from '../../../protocol/defined.ts';
import { splitAddress } from '../../../protocol/names.ts';
import type { DestinationOptions, StreamSetup, StreamTls } from '../../../port/direct.ts';
import { askFor, callerOf, type Caller } from '../../../rpc/caller.ts';
import { Gate, putBefore } from '../../../rpc/gate.ts';
import { identityOfCaller } from '../../../rpc/identity.ts';
import { DEFAULT_LIMITS } from '../../../rpc/limits.ts';
import { CONNECTION, ownRefusals } from '../../../rpc/refusals.ts';
import { clientTls, serverTls, wrongServer, type Credentials } from '../../../rpc/tls.ts';

/** Connection between movers for a container: TLS 1.3 with certificates on both sides. */

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
  const made =
    given === undefined
      ? net.connect({ host, port }, () => resolve(made))
      : tls.connect(
          { ...clientTls(given), host, port, servername: tlsHostname ?? '' },
          function checked(this: tls.TLSSocket) {
            const expected = { name: credentials?.peer, role: 'agent' } as const;
            const wrong = wrongServer(this, expected, credentials?.refuses);
            if (wrong === undefined) resolve(this);
            else this.destroy(wrong);
          },
        );
  const socket: net.Socket = made;
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

export interface Listener {
  readonly address: string;
  close(): void;
}

/**
 * Throws GODWIT_PORT_NONE if no port of the range is free. `onPeer`: gets the first connection with the source's
 * certificate.
 */
export async function listenForSource(
  { host, listenHost, ports }: DestinationOptions,
  setup: StreamSetup,
  onPeer: (stream: Duplex) => void,
): Promise<Listener> {
  const { credentials } = setup;
  const given = credentials === undefined ? undefined : await pems(credentials);
  const server =
    given === undefined || credentials === undefined
      ? net.createServer(onPeer)
      : sourceServer(given, credentials, onPeer);
  for (let port = ports.from; port <= ports.to; port += 1) {
    if (!(await listens(server, port, listenHost))) continue;
    const shown = listenHost.includes(':') ? `[${listenHost}]` : listenHost;
    return { address: `${shown}:${port}`, close: () => void server.close() };
  }
  throw godwitError('GODWIT_PORT_NONE', { host, from: ports.from, to: ports.to });
}

/** Accepts only the source host's connection: checks role, name and the fleet's present list. */
function sourceServer(
  given: Credentials,
  { peer, refuses }: StreamTls,
  onPeer: (stream: Duplex) => void,
): net.Server {
  const gate = new Gate(DEFAULT_LIMITS, () => performance.now());
  const options = { ...serverTls(given), handshakeTimeout: CONNECT_MS };
  const server = tls.createServer(options, (socket) => {
    const caller = callerOf(socket);
    const error = gate.identify(socket, caller) ?? refusalOf(caller, peer);
    if (error === undefined) {
      gate.release(socket);
      return onPeer(socket);
    }
    const { label, circle } = identityOfCaller(caller, socket.remoteAddress);
    const { code, message } = error;
    ownRefusals.note({ peer: label, circle, code, message });
    socket.on('error', () => undefined).destroy();
  });
  askFor(server, defined({ refuses }));
  server.maxConnections = DEFAULT_LIMITS.connections;
  putBefore(server, gate, (network, message) => {
    ownRefusals.note({ peer: network, circle: 'stranger', code: CONNECTION, message });
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  return server;
}

function refusalOf(caller: Caller, peer: string): GodwitError | undefined {
  const { role, name } = caller;
  if (role === 'none') return caller.refusal;
  if (role === 'agent' && name === peer) return undefined;
  const action = 'to send a container here';
  const needs = `the role agent, and the name ${peer}`;
  return godwitError('GODWIT_ROLE_FORBIDDEN', { peer: name, role, action, needs });
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

async function pems({ caFile, certFile, keyFile }: StreamTls): Promise<Credentials> {
  const [ca, cert, key] = await Promise.all([
    readFile(caFile, 'utf8'),
    readFile(certFile, 'utf8'),
    readFile(keyFile, 'utf8'),
  ]);
  return { ca, cert, key };
}
