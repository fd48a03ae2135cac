import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import tls from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { z } from 'zod';
import { withDeadline } from '../deadline.ts';
import { godwitError, toGodwitError } from '../errors.ts';
import type { Log } from '../log.ts';
import { callerOf, askFor } from '../rpc/caller.ts';
import { Gate, putBefore, type GateLimits } from '../rpc/gate.ts';
import { DEFAULT_LIMITS } from '../rpc/limits.ts';
import { listenFurther, type FurtherListeners } from '../rpc/listen-at.ts';
import { identityOfCaller } from '../rpc/identity.ts';
import { CONNECTION, ownRefusals } from '../rpc/refusals.ts';
import { waitAtRelays, type Waiting } from '../rpc/relayed/wait.ts';
import { keepCurrent, serverTls, type Credentials } from '../rpc/tls.ts';
import { Connection } from './connection.ts';
import { LINK_ALPN } from './dial.ts';
import { BadLinkFrame, controlFrame, LINK_VERSION, type Frame } from './format.ts';
import { helloSchema, readJson, writeJson, type Hello, type LinkRefusal } from './greeting.ts';
import { LinkSession, type SessionOptions } from './link-session.ts';
import { MAX_CONNECTIONS } from './open.ts';

export interface ServerOptions {
  /** Addresses of this host, with the same port. */
  readonly hosts: readonly string[];
  /** 0 to 0: any. */
  readonly ports: { readonly from: number; readonly to: number };
  readonly credentials: Credentials;
  readonly log: Log;
}

/** Time from the connection to the hello, including the TLS handshake. */
const GREETING_MS = 5000;
/** Roles without sessions here: each connection ends with the reason. */
const REFUSED = { connections: { each: 2, all: 8 } };
const NONE = { connections: { each: 0, all: 0 } };
/** Connections outside a session, 256 in total. A session limits its own connections. */
const GREETING_LIMITS: GateLimits = {
  handshakes: DEFAULT_LIMITS.handshakes,
  shares: {
    stranger: { connections: { each: 64, all: 128 } },
    agent: { connections: { each: 32, all: 96 } },
    controller: REFUSED,
    operator: REFUSED,
    viewer: REFUSED,
    relay: REFUSED,
    local: NONE,
    join: NONE,
  },
};
/** Above the gate's and one mover's sessions' connections together, so it never decides admission. */
const MAX_SOCKETS = DEFAULT_LIMITS.connections;
/** Time for last messages when the server closes, ms. */
const LAST_MS = 1000;
/** Ended sessions that are still answered for. */
const MAX_PAST = 64;

interface ExpectedSession {
  readonly session: LinkSession;
  readonly begun: () => void;
}

/** Listener of a destination's mover for agreed sessions. */
export class SessionServer {
  readonly #server: tls.Server;
  readonly #log: Log;
  /** All sockets, from before their handshake on. */
  readonly #sockets = new Set<Socket>();
  readonly #expected = new Map<string, ExpectedSession>();
  readonly #past = new Map<string, { readonly peer: string; readonly refusal: LinkRefusal }>();
  readonly #gate = new Gate(GREETING_LIMITS, () => performance.now());
  #further: FurtherListeners | undefined;
  #waiting: Waiting | undefined;

  private constructor(options: ServerOptions) {
    this.#log = options.log;
    this.#server = tls.createServer(
      {
        ...serverTls(options.credentials),
        ALPNProtocols: [LINK_ALPN],
        handshakeTimeout: GREETING_MS,
      },
      (socket) => this.#greet(socket),
    );
    askFor(this.#server, options.credentials);
    keepCurrent(this.#server, options.credentials);
    this.#server.maxConnections = MAX_SOCKETS;
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('tlsClientError', (error, socket) => {
      this.#log.debug({ error: error.message }, 'TLS handshake of the wire failed');
      socket.destroy();
    });
    putBefore(this.#server, this.#gate, (peer, message) => {
      const note = ownRefusals.note({ peer, circle: 'stranger', code: CONNECTION, message });
      if (note !== undefined) this.#log.warn({ from: peer, ...note }, 'link refused');
    });
  }

  /** Throws GODWIT_PORT_NONE if no port of the range is free. */
  static async listen(options: ServerOptions): Promise<SessionServer> {
    const made = new SessionServer(options);
    const { hosts, ports } = options;
    const [host = '127.0.0.1', ...further] = hosts;
    for (let port = ports.from; port <= ports.to; port += 1) {
      try {
        const listening = once(made.#server, 'listening');
        made.#server.listen({ host, port });
        await listening;
        const addresses = further.map((each) => ({ host: each, port: made.port }));
        made.#further = await listenFurther(made.#server, addresses, options.log);
        made.#waiting = waitAtRelays(made.#server, made.port, options.credentials, options.log);
        return made;
      } catch (error) {
        if (made.#server.listening) await new Promise((done) => made.#server.close(done));
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      }
    }
    throw godwitError('GODWIT_PORT_NONE', { host, ...ports });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** host:port of the first host. */
  get address(): string {
    const { address, family, port } = this.#server.address() as AddressInfo;
    return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
  }

  /**
   * Waits for the session's peer: its certificate and session name must match. Rejects after `deadlineMs`
   * without a connection, or when the signal aborts; a later abort ends the session.
   */
  async accept(
    options: SessionOptions,
    deadlineMs: number,
    signal?: AbortSignal,
  ): Promise<LinkSession> {
    const id = options.name.session;
    if (this.#expected.has(id)) throw new Error(`session ${id} is waited for already`);
    const session = new LinkSession(options);
    const begun = Promise.withResolvers<void>();
    this.#expected.set(id, { session, begun: begun.resolve });
    const stop = (): void => session.abort(signal?.reason as Error);
    const forget = (refusal: LinkRefusal): void => {
      signal?.removeEventListener('abort', stop);
      this.#forget(id, session.peer, refusal);
    };
    session.ended.then(
      () => forget({ why: 'closed' }),
      (error: unknown) => forget({ why: 'over', error: toGodwitError(error).toJSON() }),
    );
    try {
      const what = `the first connection of ${options.peer}`;
      await withDeadline(what, deadlineMs, signal, () =>
        Promise.race([begun.promise, session.ended]),
      );
    } catch (error) {
      session.abort(error as Error);
      throw error;
    }
    signal?.addEventListener('abort', stop, { once: true });
    return session;
  }

  async close(): Promise<void> {
    this.#further?.close();
    this.#waiting?.close();
    const closed = new Promise((done) => this.#server.close(done));
    for (const { session } of this.#expected.values()) {
      const reason = 'its end of the session was closed';
      session.abort(godwitError('GODWIT_SESSION_ENDED', { peer: 'this host', reason }));
    }
    // Sessions' connections still send the reason; the others have nothing to send.
    const cut = setTimeout(() => this.#sockets.forEach((socket) => socket.destroy()), LAST_MS);
    await closed;
    clearTimeout(cut);
  }

  #forget(id: string, peer: string, refusal: LinkRefusal): void {
    this.#expected.delete(id);
    this.#past.set(id, { peer, refusal });
    const [oldest] = this.#past.keys();
    if (this.#past.size > MAX_PAST && oldest !== undefined) this.#past.delete(oldest);
  }

  #greet(socket: TLSSocket): void {
    const timer = setTimeout(() => socket.destroy(), GREETING_MS);
    const known = (): void => clearTimeout(timer);
    socket.once('close', known);
    const connection = new Connection(socket, {
      frame: (frame) => {
        known();
        this.#take(connection, socket, frame);
      },
      paused: () => undefined,
      closed: () => undefined,
    });
    const caller = callerOf(socket);
    const full = this.#gate.identify(socket, caller);
    if (full !== undefined) {
      this.#refuse(socket, full.code, full.message);
      socket.destroy();
    } else if (caller.role !== 'agent') {
      const why = caller.role === 'none' ? caller.refusal : undefined;
      this.#refuse(socket, why?.code ?? CONNECTION, why?.message ?? 'a stranger to the wire');
      refuse(connection, { why: 'unknown' });
    }
  }

  #refuse(socket: TLSSocket, code: string, message: string): void {
    const peer = identityOfCaller(callerOf(socket), socket.remoteAddress).label;
    const note = ownRefusals.note({ peer, code, message });
    if (note !== undefined) this.#log.warn({ by: peer, reason: message, ...note }, 'link refused');
  }

  #take(connection: Connection, socket: TLSSocket, frame: Frame): void {
    if (frame.type !== 'hello') throw new BadLinkFrame(`a ${frame.type} frame instead of a hello`);
    const hello = readHello(frame.payload);
    if (hello === undefined) return refuse(connection, { why: 'version' });
    const peer = callerOf(socket).name;
    const past = this.#past.get(hello.session);
    if (past?.peer === peer) return refuse(connection, past.refusal);
    const expected = this.#expected.get(hello.session);
    if (expected === undefined || !isFor(expected.session, hello, peer)) {
      this.#refuse(socket, CONNECTION, 'a session that nobody waits for');
      return refuse(connection, { why: 'unknown' });
    }
    const { session, begun } = expected;
    if (session.connections >= MAX_CONNECTIONS) return refuse(connection, { why: 'full' });
    this.#gate.release(socket);
    connection.write(controlFrame('welcome', 0, writeJson(session.greeting())));
    void session.join(connection, hello);
    return begun();
  }
}

/** Nothing more is read from it. */
function refuse(connection: Connection, refusal: LinkRefusal): void {
  connection.write(controlFrame('refuse', 0, writeJson(refusal)));
  connection.user = { frame: () => undefined, paused: () => undefined, closed: () => undefined };
  connection.end();
}

function readHello(payload: Uint8Array): Hello | undefined {
  const { version } = readJson(z.looseObject({ version: z.number() }), payload, 'hello');
  return version === LINK_VERSION ? readJson(helloSchema, payload, 'hello') : undefined;
}

function isFor(session: LinkSession, hello: Hello, peer: string): boolean {
  const { name } = session;
  return (
    session.peer === peer &&
    name.migration === hello.migration &&
    name.epoch === hello.epoch &&
    session.knows(hello.incarnation)
  );
}
