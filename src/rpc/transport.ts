import type { ClientRequest, ClientRequestArgs, RequestOptions } from 'node:http';
import https from 'node:https';
import type { TcpNetConnectOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { godwitError, GodwitError } from '../errors.ts';
import type { Role } from '../protocol/route.ts';
import { splitAddress } from '../protocol/names.ts';
import { http } from './http.ts';
import { clientTls, wrongServer } from './tls.ts';
import type { ExpectedServer, Trust } from './tls.ts';

/** The path to a server. */
export type Transport =
  | {
      readonly unix: string;
      /** Who is there, for error texts. */
      readonly peer?: string;
    }
  | {
      /** host:port */
      readonly address: string;
      readonly credentials: Trust;
      /** The name that its certificate must hold, whatever its address; undefined takes any of our CA. */
      readonly expectedName: string | undefined;
      /** Default: agent. */
      readonly expectedRole?: Role;
    };

/** Connections to one server, kept open between calls. */
export interface HttpPool {
  /** Who is there and where, for error texts. */
  readonly peer: string;
  readonly address: string;
  request(options: RequestOptions): ClientRequest;
  /** Closes what is open. */
  close(): void;
}

const CONNECT_MS = 10_000;
const POOL = { keepAlive: true, maxSockets: 16, maxFreeSockets: 4, scheduling: 'lifo' } as const;

/** Opens nothing yet: connections come with the first request. */
export function openPool(transport: Transport): HttpPool {
  if ('unix' in transport) {
    const agent = new http.Agent(POOL);
    const socketPath = transport.unix;
    return {
      peer: transport.peer ?? 'the process',
      address: socketPath,
      request: (options) => http.request({ ...options, agent, socketPath, host: 'localhost' }),
      close: () => agent.destroy(),
    };
  }
  const { address, credentials, expectedName, expectedRole = 'agent' } = transport;
  const { host, port } = splitAddress(address);
  const agent = new VerifyingAgent(credentials, { name: expectedName, role: expectedRole });
  return {
    peer: expectedName ?? 'the agent',
    address,
    request: (options) => {
      // Part of what a connection is kept by: one that showed an earlier certificate is used no more.
      const cert = credentials.current?.().cert;
      return https.request({ ...options, agent, host, port, ...(cert && { cert }) });
    },
    close: () => agent.destroy(),
  };
}

/** Hands out a connection only once its server has proved to be the one we want. */
class VerifyingAgent extends https.Agent {
  readonly #credentials: Trust;
  readonly #expected: ExpectedServer;
  readonly #connecting = new Set<TLSSocket>();

  constructor(credentials: Trust, expected: ExpectedServer) {
    super({ ...POOL, maxCachedSessions: 0 });
    this.#credentials = credentials;
    this.#expected = expected;
  }

  override createConnection(
    { host, port }: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): null {
    const options: tls.ConnectionOptions & TcpNetConnectOpts = {
      ...clientTls(this.#credentials),
      host: String(host),
      port: Number(port),
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 10_000,
    };
    const socket = tls.connect(options);
    this.#connecting.add(socket);
    const settle = (error: Error | null): void => {
      if (!this.#connecting.delete(socket)) return;
      socket.setTimeout(0);
      if (error !== null) socket.destroy();
      callback?.(error, socket);
    };
    const fail = (code: string): void => settle(Object.assign(new Error(code), { code }));
    socket.setTimeout(CONNECT_MS, () => fail('ETIMEDOUT'));
    socket.once('close', () => fail('ECONNRESET'));
    socket.on('error', settle);
    const { refuses } = this.#credentials;
    socket.once('secureConnect', () => {
      settle(wrongServer(socket, this.#expected, refuses) ?? null);
    });
    return null;
  }

  override destroy(): void {
    for (const socket of this.#connecting) socket.destroy();
    super.destroy();
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there (connection refused)',
  ENOENT: 'the socket is not there',
  EACCES: 'this user may not use the socket',
  ECONNRESET: 'it closed the connection',
  EPIPE: 'it closed the connection',
  EHOSTUNREACH: 'there is no route to that host',
  ENETUNREACH: 'there is no route to that network',
  ETIMEDOUT: 'no answer to the connection',
  ENOTFOUND: 'the name has no address',
  EAI_AGAIN: 'the name server does not answer',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS',
  EPROTO: 'it does not speak TLS 1.3',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'it does not speak TLS 1.3',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'it does not speak TLS 1.3',
};

/** What a failed connection means; an error of ours (a wrong certificate, a deadline) is passed on as it is. */
export function networkFailure(thrown: unknown, wire: HttpPool): GodwitError {
  if (thrown instanceof GodwitError) return thrown;
  const { peer, address } = wire;
  const { code, message } = thrown as NodeJS.ErrnoException;
  const why = (code === undefined ? undefined : REASONS[code]) ?? message;
  return godwitError(
    'GODWIT_UNREACHABLE',
    { peer, address, reason: why.slice(0, 500) },
    { cause: thrown },
  );
}
