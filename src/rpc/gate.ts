import type { Server, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { godwitError, type GodwitError } from '../errors.ts';
import { TokenBuckets } from '../token-buckets.ts';
import { callerOf, type Caller } from './caller.ts';
import { identityOfCaller, networkOf, strangerAt, type Identity } from './identity.ts';
import type { ShareLimit, Circle, RpcLimits, Share } from './limits.ts';

/** Networks, and callers at relays, whose handshakes are counted. */
const MAX_COUNTED = 4096;
/** One caller at a relay may begin one handshake in so many of the relay's. */
const CALLER_PART = 4;

interface Connection {
  readonly socket: Socket;
  readonly network: string;
  /** The caller that a relay names; absent for a direct connection. */
  readonly caller: string | undefined;
  who: Identity;
}

export interface GateLimits {
  readonly shares: Readonly<Record<Circle, Pick<Share, 'connections'>>>;
  readonly handshakes: RpcLimits['handshakes'];
}

/**
 * Counts the connections of a TLS server on who opens them. Until its certificate is seen, whoever connects is a stranger
 * at its address. Where strangers have all that they may have, the oldest connection of the address with the most makes
 * room: a client that means it is through with its handshake in no time, one that only holds a place loses it.
 */
export class Gate {
  readonly #limits: GateLimits;
  readonly #connections = new Map<string, Connection>();
  /** Circle, key, and the connections of that identity, oldest first. */
  readonly #held = new Map<Circle, Map<string, Set<Connection>>>();
  readonly #networks: TokenBuckets;
  readonly #callers: TokenBuckets;
  /** Origins of connections that were released. */
  readonly #expected = new Set<string>();

  constructor(limits: GateLimits, nowMs: () => number) {
    this.#limits = limits;
    const { burst, perS } = limits.handshakes;
    const network = { burst, everyMs: 1000 / perS, maxKeys: MAX_COUNTED };
    this.#networks = new TokenBuckets(network, nowMs);
    const everyMs = network.everyMs * CALLER_PART;
    const caller = { ...network, burst: Math.max(1, burst / CALLER_PART), everyMs };
    this.#callers = new TokenBuckets(caller, nowMs);
  }

  /** Whether a connection may begin its handshake. Closes another one where that has to make room. */
  admit(socket: Socket): boolean {
    const { remoteAddress } = socket;
    if (remoteAddress === undefined) return false;
    const who = strangerAt(remoteAddress);
    const network = networkOf(remoteAddress);
    const connection = { socket, network, caller: relayCallerOf(socket), who };
    if (!this.#spend(connection)) return false;
    const { each, all } = this.#bound('stranger');
    if (this.#of(connection.who).size >= each) this.#evict(this.#of(connection.who));
    if (this.#count('stranger') >= all) this.#evict(this.#largest('stranger'));
    const ends = endsOf(socket);
    this.#connections.set(ends, connection);
    this.#of(connection.who).add(connection);
    socket.once('close', () => {
      this.#connections.delete(ends);
      this.#leave(connection);
    });
    return true;
  }

  /** Counts a connection on who sends over it; the error where that identity has all that it may have. */
  identify(socket: TLSSocket, caller: Caller = callerOf(socket)): GodwitError | undefined {
    gates.set(socket, this);
    const connection = this.#connections.get(endsOf(socket));
    if (caller.role === 'none' || connection === undefined) return undefined;
    const who = identityOfCaller(caller, socket.remoteAddress);
    if (who.key === connection.who.key) return undefined;
    const { each, all } = this.#bound(who.circle);
    const own = this.#held.get(who.circle)?.get(who.key)?.size ?? 0;
    if (own >= each) return full(who.label, each);
    if (this.#count(who.circle) >= all) {
      const largest = this.#largest(who.circle);
      if (largest.size <= own + 1) return full(`${who.label} and the others of its kind`, all);
      this.#evict(largest);
    }
    if (connection.who.circle === 'stranger') this.#giveBack(connection);
    this.#leave(connection);
    connection.who = who;
    this.#of(who).add(connection);
    return undefined;
  }

  /**
   * Stops counting a connection of a peer that is expected, and bounded by its user: no newcomer displaces it. When it is
   * cut, a crowd at the peer's address has no handshakes to spend that keep the peer out.
   */
  release(socket: Socket): void {
    const ends = endsOf(socket);
    const connection = this.#connections.get(ends);
    if (connection === undefined) return;
    this.#connections.delete(ends);
    this.#leave(connection);
    this.#expected.add(originOf(connection));
    const [oldest] = this.#expected;
    if (this.#expected.size > MAX_COUNTED && oldest !== undefined) this.#expected.delete(oldest);
  }

  /** Connections that are counted now. */
  get size(): number {
    return this.#connections.size;
  }

  /** A caller at a relay has a part of the relay's handshakes, so that one leaves some to the others. */
  #spend(connection: Connection): boolean {
    const [origin, { network, caller }] = [originOf(connection), connection];
    if (this.#expected.has(origin)) return true;
    if (!this.#networks.take(network)) return false;
    if (caller === undefined || this.#callers.take(origin)) return true;
    this.#networks.giveBack(network);
    return false;
  }

  /** A handshake that shows a certificate, within its holder's share, does not count: a busy host is not held up. */
  #giveBack(connection: Connection): void {
    const origin = originOf(connection);
    if (this.#expected.has(origin)) return;
    this.#networks.giveBack(connection.network);
    if (connection.caller !== undefined) this.#callers.giveBack(origin);
  }

  /** Closes the oldest connection; of strangers behind a relay, that of the caller with the most. */
  #evict(held: ReadonlySet<Connection>): void {
    let fullest: readonly Connection[] = [];
    const keyOf = ({ who, caller }: Connection) => (who.circle === 'stranger' ? caller : undefined);
    for (const own of Map.groupBy(held, keyOf).values())
      if (own.length > fullest.length) fullest = own;
    const [oldest] = fullest;
    if (oldest === undefined) return;
    this.#leave(oldest);
    oldest.socket.destroy();
  }

  #leave(connection: Connection): void {
    const { circle, key } = connection.who;
    const held = this.#held.get(circle)?.get(key);
    held?.delete(connection);
    if (held?.size === 0) this.#held.get(circle)?.delete(key);
  }

  #of({ circle, key }: Identity): Set<Connection> {
    let keys = this.#held.get(circle);
    if (keys === undefined) this.#held.set(circle, (keys = new Map<string, Set<Connection>>()));
    let held = keys.get(key);
    if (held === undefined) keys.set(key, (held = new Set()));
    return held;
  }

  #largest(circle: Circle): ReadonlySet<Connection> {
    let largest: ReadonlySet<Connection> = new Set();
    for (const held of this.#held.get(circle)?.values() ?? []) {
      if (held.size > largest.size) largest = held;
    }
    return largest;
  }

  #count(circle: Circle): number {
    return [...(this.#held.get(circle)?.values() ?? [])].reduce((sum, { size }) => sum + size, 0);
  }

  #bound(circle: Circle): ShareLimit {
    return this.#limits.shares[circle].connections;
  }
}

const relayed = new WeakMap<Socket, string>();

/** Notes the caller that a relay names for a stream, so that the relay's callers are counted apart. */
export function cameByRelay(socket: Socket, caller: string): void {
  relayed.set(socket, caller);
}

export function relayCallerOf(socket: Socket): string | undefined {
  return relayed.get(socket);
}

/**
 * Puts a gate before everything that a server does with a connection, so that a refused one costs no handshake. Call it
 * once the server has all its listeners. `refused` reports the network of a refused connection, and the reason.
 */
export function putBefore(
  server: Server,
  gate: Gate,
  refused: (network: string, message: string) => void,
): void {
  const taking = server.listeners('connection') as ((socket: Socket) => void)[];
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    if (gate.admit(socket)) {
      for (const take of taking) take.call(server, socket);
      return;
    }
    const network = networkOf(socket.remoteAddress ?? 'an unknown address');
    refused(network, 'too many handshakes that came to nothing');
    socket.on('error', () => {});
    // A relay's stream is TLS already, and such a stream cannot be reset.
    if (socket instanceof TLSSocket) socket.destroy();
    else socket.resetAndDestroy();
  });
}

const gates = new WeakMap<TLSSocket, Gate>();

/** Counts a connection on whom a request over it names, where no certificate does. GODWIT_OVERLOADED: that one has all. */
export function countOn(caller: Caller, socket: Socket): void {
  const error = gates.get(socket as TLSSocket)?.identify(socket as TLSSocket, caller);
  if (error !== undefined) throw error;
}

/** Who began a handshake, as far as anything distinguishes strangers. */
function originOf({ network, caller }: Connection): string {
  return caller === undefined ? network : `${network} ${caller}`;
}

/** Alike for a connection and the TLS over it, and for no other that is open. */
function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

function full(whose: string, limit: number): GodwitError {
  const hint = 'Close some of them and try again; docs/limits.md says what each may have at once.';
  const what = `${whose}, in connections at once,`;
  return godwitError('GODWIT_OVERLOADED', { what, limit }, { hint });
}
