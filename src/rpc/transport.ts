import type { ClientRequest, ClientRequestArgs, RequestOptions } from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { godwitError, GodwitError } from '../errors.ts';
import { defined } from '../protocol/defined.ts';
import type { Role } from '../protocol/route.ts';
import { splitAddress } from '../protocol/names.ts';
import { http } from './http.ts';
import { connectTls, ledElsewhere } from './relayed/call.ts';
import { chainFailure, wrongServer, type ExpectedServer, type Trust } from './tls.ts';

/** The path to a server; `under`: the path below which it answers there. */
export type Transport = Place & { readonly under?: string };

type Place =
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
      /** A connection that nobody uses is closed after so long; absent: by the server. */
      readonly idleMs?: number;
    }
  | {
      /** The origin of a controller's web listener, https. */
      readonly url: URL;
      /** Sent with each request. */
      readonly token: string;
      /** PEM; absent: the CAs that Node trusts. */
      readonly ca?: string;
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
export function openPool({ under = '', ...place }: Transport): HttpPool {
  const pool = poolAt(place);
  if (under === '') return pool;
  return {
    ...pool,
    request: ({ path = '', ...options }) => pool.request({ ...options, path: `${under}${path}` }),
  };
}

function poolAt(transport: Place): HttpPool {
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
  if ('url' in transport) return webPool(transport);
  const { address, credentials, expectedName, expectedRole = 'agent', idleMs } = transport;
  const { host, port } = splitAddress(address);
  const expected = { name: expectedName, role: expectedRole };
  const agent = new VerifyingAgent(address, credentials, expected, idleMs);
  return {
    peer: expectedName ?? 'the agent',
    address,
    request: (options) => {
      // Part of what a connection is kept by: a connection of an earlier certificate or bundle is not used again.
      const { ca, cert } = credentials.current?.() ?? {};
      return https.request({ ...options, agent, host, port, ...defined({ ca, cert }) });
    },
    close: () => agent.destroy(),
  };
}

/** The server there has a certificate for the host of the url, as on the web; who calls shows a token. */
function webPool({ url, token, ca }: Extract<Place, { url: URL }>): HttpPool {
  const agent = new https.Agent({ ...POOL, timeout: CONNECT_MS, ...(ca && { ca }) });
  const place = { agent, host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port || 443 };
  return {
    peer: 'the controller',
    address: url.host,
    request: (options) => {
      const request = https.request({ ...options, ...place });
      request.setHeader('authorization', `Bearer ${token}`);
      return request;
    },
    close: () => agent.destroy(),
  };
}

/** Hands out a connection only once its server has proved to be the one we want. */
class VerifyingAgent extends https.Agent {
  readonly #address: string;
  readonly #credentials: Trust;
  readonly #expected: ExpectedServer;
  readonly #idleMs: number | undefined;
  /** Of the connections that are being made. */
  #over = new AbortController();

  constructor(address: string, credentials: Trust, expected: ExpectedServer, idleMs?: number) {
    super({ ...POOL, maxCachedSessions: 0 });
    this.#idleMs = idleMs;
    this.#address = address;
    this.#credentials = credentials;
    this.#expected = expected;
  }

  override createConnection(
    _options: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): null {
    void this.#give(callback);
    return null;
  }

  async #give(callback?: (error: Error | null, stream: Duplex) => void): Promise<void> {
    let socket: TLSSocket;
    try {
      socket = await this.#connect();
    } catch (thrown) {
      // Nobody looks at a stream that comes with an error.
      callback?.(thrown as Error, undefined as never);
      return;
    }
    callback?.(null, socket);
  }

  /** A connection to the server that we want; rejects with what is wrong with it, or the network's error. */
  async #connect(): Promise<TLSSocket> {
    const late = Object.assign(new Error('ETIMEDOUT'), { code: 'ETIMEDOUT' });
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(late), CONNECT_MS);
    const signal = AbortSignal.any([this.#over.signal, over.signal]);
    try {
      const options = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 };
      const socket = await connectTls(this.#address, this.#credentials, options, signal);
      try {
        return await this.#verified(socket, signal);
      } catch (thrown) {
        socket.destroy();
        throw thrown;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #verified(socket: TLSSocket, signal: AbortSignal): Promise<TLSSocket> {
    const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
    const stop = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
    const gone = (): void => reject(Object.assign(new Error('ECONNRESET'), { code: 'ECONNRESET' }));
    socket.once('close', gone);
    socket.on('error', reject);
    socket.once('secureConnect', () => {
      const wrong = wrongServer(socket, this.#expected, this.#credentials.refuses);
      if (wrong === undefined) resolve(socket);
      else reject(ledElsewhere(this.#address, wrong));
    });
    return promise.finally(() => {
      signal.removeEventListener('abort', stop);
      socket.removeListener('close', gone);
    });
  }

  /** Node’s own agent closes a free connection whose time is over. */
  override keepSocketAlive(socket: Duplex): boolean {
    // Whether it is kept: its types do not have that.
    const isKept = super.keepSocketAlive(socket) as unknown as boolean;
    if (this.#idleMs !== undefined) (socket as TLSSocket).setTimeout(this.#idleMs);
    return isKept;
  }

  override destroy(): void {
    this.#over.abort(Object.assign(new Error('ECONNRESET'), { code: 'ECONNRESET' }));
    this.#over = new AbortController();
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
  const untrusted = chainFailure(code, peer, undefined);
  if (untrusted !== undefined) return untrusted;
  const why = (code === undefined ? undefined : REASONS[code]) ?? message;
  return godwitError(
    'GODWIT_UNREACHABLE',
    { peer, address, reason: why.slice(0, 500) },
    { cause: thrown },
  );
}
