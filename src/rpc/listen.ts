import { once } from 'node:events';
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import type { RequestListener, Server, ServerOptions } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, ListenOptions, Socket } from 'node:net';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { godwitError, type GodwitError } from '../errors.ts';
import type { Log } from '../log.ts';
import { checkSocketPath } from '../protocol/socket-path.ts';
import { askFor, callerOf } from './caller.ts';
import { listenAt, listenFurther, type FurtherListeners, type HostPort } from './listen-at.ts';
import { Gate, putBefore } from './gate.ts';
import { identityOfCaller, networkOf } from './identity.ts';
import { http } from './http.ts';
import { DEFAULT_LIMITS, type RpcLimits } from './limits.ts';
import { whoServes } from './port-holder.ts';
import { isServed } from './reach.ts';
import { CONNECTION, ownRefusals, type Refusals } from './refusals.ts';
import { waitAtRelays } from './relayed/wait.ts';
import { keepCurrent, serverTls, type Credentials } from './tls.ts';

/** A socket that is being served. */
export interface Listening {
  /** host:port, or the path of the unix socket. */
  readonly address: string;
  /** Takes no more connections, lets requests under way end for up to `graceMs`, then cuts what is left. */
  close(graceMs?: number): Promise<void>;
}

export interface ListenOptionsOf {
  readonly log: Log;
  readonly limits?: Partial<RpcLimits>;
  /** Counts what is refused; default: those of this process. */
  readonly refusals?: Refusals;
  /** Over TLS; default: `serverTls`, which asks for a certificate. */
  readonly tls?: typeof serverTls;
}

/** Serves on a unix socket, 0600. What lies at the path and does not answer is replaced; a live one is an error. */
export async function listenUnix(
  listener: RequestListener,
  file: string,
  options: ListenOptionsOf,
): Promise<Listening> {
  checkSocketPath(file);
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  if (await isServed(file)) {
    throw godwitError('GODWIT_CONFIG', { file, what: `${whoServes(file)} serves this socket` });
  }
  rmSync(file, { force: true });
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const server = http.createServer(httpOptions(limits), listener);
  const sockets = bound(server, limits, options);
  // The socket is made before `listen` first waits, so the mask holds for nothing else.
  const umask = process.umask(0o177);
  const listening = listen(server, { path: file });
  process.umask(umask);
  await listening;
  chmodSync(file, 0o600);
  return { address: file, close: (graceMs) => close(server, sockets, graceMs) };
}

/** Where to serve: one address, or the first free port of a range; and further paths to this host, if there are any. */
export type ListenAt =
  | { readonly address: string; readonly further?: readonly string[] }
  | {
      readonly host: string;
      readonly ports: PortRange;
      /** Other addresses of this host, on which the same port is to be free. */
      readonly furtherHosts?: readonly string[];
    };

/**
 * Serves over mutual TLS on `address` (host:port), or on the first free port of `ports`.
 * GODWIT_PORT_NONE when none of them is free; GODWIT_CONFIG when the address cannot be used.
 */
export async function listenTls(
  listener: RequestListener,
  where: ListenAt,
  credentials: Credentials,
  options: ListenOptionsOf,
): Promise<Listening> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const server = createHttpsServer(
    {
      ...httpOptions(limits),
      ...(options.tls ?? serverTls)(credentials),
      handshakeTimeout: limits.handshakeMs,
    },
    listener,
  );
  askFor(server, credentials);
  keepCurrent(server, credentials, options.tls);
  const sockets = bound(server, limits, options);
  guard(server, limits, options);
  const listeners =
    'address' in where
      ? await listenAt(server, where.address, where.further ?? [], options.log)
      : await listenInRange(server, where, options.log);
  const { address, port, family } = server.address() as AddressInfo;
  const waiting = waitAtRelays(server, port, credentials, options.log);
  return {
    address: family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`,
    close: (graceMs) => {
      listeners.close();
      waiting.close();
      return close(server, sockets, graceMs);
    },
  };
}

export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** Starts anywhere in the range, so that movers which start at once seldom try the same port. */
async function listenInRange(
  server: Server,
  { host, ports, furtherHosts = [] }: Extract<ListenAt, { host: string }>,
  log: Log,
): Promise<FurtherListeners> {
  const count = ports.to - ports.from + 1;
  const start = process.pid % count;
  for (let tried = 0; tried < count; tried += 1) {
    const port = ports.from + ((start + tried) % count);
    const further = furtherHosts.map((each): HostPort => ({ host: each, port }));
    try {
      await listen(server, { host, port });
      return await listenFurther(server, further, log);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw thrown;
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    }
  }
  throw godwitError('GODWIT_PORT_NONE', { host, from: ports.from, to: ports.to });
}

async function listen(server: Server, options: ListenOptions): Promise<void> {
  const listening = once(server, 'listening');
  server.listen(options);
  await listening;
}

function httpOptions(limits: RpcLimits): ServerOptions {
  return {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: Math.min(1000, limits.headersMs),
    keepAlive: true,
    keepAliveInitialDelay: 10_000,
    noDelay: true,
    insecureHTTPParser: false,
  };
}

/** Holds the server to its limits; answers the set of its connections, kept up to date. */
function bound(
  server: Server,
  limits: RpcLimits,
  { log, refusals = ownRefusals }: ListenOptionsOf,
): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.maxConnections = limits.connections;
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const circle = 'stranger';
  const report = (thrown: Error, from: string, text: string): void => {
    // Somebody who only looks whether the path is open hangs up before a byte.
    const { code = thrown.message } = thrown as NodeJS.ErrnoException;
    const level = code === 'ECONNRESET' ? 'debug' : 'info';
    // Who only looks is not refused; it is counted apart, and not shown.
    const kind = code === 'ECONNRESET' ? code : CONNECTION;
    const peer = networkOf(from);
    const note = refusals.note({ peer, circle, code: kind, message: `${text}: ${code}` });
    if (note !== undefined) log[level]({ from, reason: code, ...note }, text);
  };
  server.on('clientError', (thrown: NodeJS.ErrnoException, socket) => {
    const from = (socket as Socket).remoteAddress ?? 'a peer';
    report(thrown, from, 'a connection was refused');
    if (!socket.writable || thrown.code === 'ECONNRESET') socket.destroy();
    else refuse(clientError(thrown, from, limits), socket);
  });
  server.on('tlsClientError', (thrown: Error, socket: Socket) => {
    report(thrown, socket.remoteAddress ?? 'a peer', 'a TLS handshake failed');
    socket.destroy();
  });
  server.on('drop', () => {
    const message = `more than ${limits.connections} connections`;
    const note = refusals.note({ peer: 'anybody', circle, code: CONNECTION, message });
    if (note === undefined) return;
    log.warn({ limit: limits.connections, ...note }, 'connection dropped');
  });
  return sockets;
}

/** Puts a gate before all that is done with a connection, so that one which is refused costs no handshake. */
function guard(
  server: Server,
  limits: RpcLimits,
  { log, refusals = ownRefusals }: ListenOptionsOf,
): void {
  const gate = new Gate(limits, () => performance.now());
  putBefore(server, gate, (from, message) => {
    const note = refusals.note({ peer: from, circle: 'stranger', code: CONNECTION, message });
    if (note !== undefined) log.warn({ from, ...note }, 'connection refused: too many handshakes');
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    const error = gate.identify(socket);
    if (error === undefined) return;
    const { code, message } = error;
    const { label: peer, circle } = identityOfCaller(callerOf(socket), socket.remoteAddress);
    const note = refusals.note({ peer, circle, code, message });
    if (note !== undefined) log.warn({ reason: message, ...note }, 'connection refused');
    refuse(error, socket);
  });
}

/** Answers in the same words as everything else what is no request: bytes that are not HTTP, or come too slowly. */
function refuse(error: GodwitError, socket: Duplex): void {
  const text = JSON.stringify({ error });
  socket.end(
    `HTTP/1.1 ${error.http} Refused\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
  // Half of a connection must not linger: the peer has its reason or does not want it.
  setTimeout(() => socket.destroy(), 1000).unref();
}

function clientError(thrown: NodeJS.ErrnoException, peer: string, limits: RpcLimits): GodwitError {
  if (thrown.code === 'HPE_HEADER_OVERFLOW') {
    const facts = { what: 'the request’s header', limit: limits.headerBytes };
    return godwitError('GODWIT_TOO_LARGE', facts);
  }
  if (thrown.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    const facts = { what: 'to send the request', deadlineMs: limits.requestMs };
    return godwitError('GODWIT_DEADLINE', facts);
  }
  const what = thrown.code ?? thrown.message;
  return godwitError('GODWIT_PROTOCOL_INVALID', { peer, expected: 'HTTP/1.1', what });
}

async function close(server: Server, sockets: ReadonlySet<Socket>, graceMs = 0): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  server.closeIdleConnections();
  const timer = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, graceMs);
  await closed;
  clearTimeout(timer);
}
