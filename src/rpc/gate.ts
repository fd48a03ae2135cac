import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { godwitError, type GodwitError } from '../errors.ts';
import { callerOf, type Caller } from './caller.ts';
import { identityOfCaller, networkOf, strangerAt, type Identity } from './identity.ts';
import type { Bound, Circle, RpcLimits } from './limits.ts';

/** Networks whose handshakes are counted; the one that was counted first is forgotten for a new one. */
const MAX_NETWORKS = 4096;

interface Connection {
  readonly socket: Socket;
  who: Identity;
}

/** Handshakes that a network may still begin, at that time. */
interface Allowance {
  left: number;
  atMs: number;
}

type GateLimits = Pick<RpcLimits, 'shares' | 'handshakes'>;

/**
 * Counts the connections of a TLS server on who opens them. Until its certificate is seen, whoever connects is a stranger
 * at its address. Where strangers have all that they may have, the oldest connection of the address with the most makes
 * room: a client that means it is through with its handshake in no time, one that only holds a place loses it.
 */
export class Gate {
  readonly #limits: GateLimits;
  readonly #nowMs: () => number;
  readonly #connections = new Map<string, Connection>();
  /** Circle, key, and the connections of that identity, oldest first. */
  readonly #held = new Map<Circle, Map<string, Set<Connection>>>();
  readonly #allowances = new Map<string, Allowance>();

  constructor(limits: GateLimits, nowMs: () => number) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** Whether a connection may begin its handshake. Closes another one where that has to make room. */
  admit(socket: Socket): boolean {
    const { remoteAddress } = socket;
    if (remoteAddress === undefined || !this.#spend(networkOf(remoteAddress))) return false;
    const connection = { socket, who: strangerAt(remoteAddress) };
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
    if (connection.who.circle === 'stranger') this.#giveBack(networkOf(socket.remoteAddress ?? ''));
    const { each, all } = this.#bound(who.circle);
    const own = this.#held.get(who.circle)?.get(who.key)?.size ?? 0;
    if (own >= each) return full(who.label, each);
    if (this.#count(who.circle) >= all) {
      const largest = this.#largest(who.circle);
      if (largest.size <= own + 1) return full(`${who.label} and the others of its kind`, all);
      this.#evict(largest);
    }
    this.#leave(connection);
    connection.who = who;
    this.#of(who).add(connection);
    return undefined;
  }

  /** Connections that are counted now. */
  get size(): number {
    return this.#connections.size;
  }

  /** Those that make a handshake and turn out to be somebody get theirs back: a host that is busy is not held up. */
  #spend(network: string): boolean {
    const { burst, perS } = this.#limits.handshakes;
    const nowMs = this.#nowMs();
    const had = this.#allowances.get(network);
    const left =
      had === undefined ? burst : Math.min(burst, had.left + ((nowMs - had.atMs) / 1000) * perS);
    if (left < 1) return false;
    this.#allowances.set(network, { left: left - 1, atMs: nowMs });
    const [oldest] = this.#allowances.keys();
    if (this.#allowances.size > MAX_NETWORKS && oldest !== undefined)
      this.#allowances.delete(oldest);
    return true;
  }

  #giveBack(network: string): void {
    const had = this.#allowances.get(network);
    if (had === undefined) return;
    had.left += 1;
    if (had.left >= this.#limits.handshakes.burst) this.#allowances.delete(network);
  }

  #evict(held: ReadonlySet<Connection>): void {
    const [oldest] = held;
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

  #bound(circle: Circle): Bound {
    return this.#limits.shares[circle].connections;
  }
}

const gates = new WeakMap<TLSSocket, Gate>();

/** Counts a connection on whom a request over it names, where no certificate does. GODWIT_OVERLOADED: that one has all. */
export function countOn(caller: Caller, socket: Socket): void {
  const error = gates.get(socket as TLSSocket)?.identify(socket as TLSSocket, caller);
  if (error !== undefined) throw error;
}

/** Alike for a connection and the TLS over it, and for no other that is open. */
function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

function full(whose: string, limit: number): GodwitError {
  const hint =
    'Close some of them and try again; docs/operating.md says what each may have at once.';
  const what = `${whose}, in connections at once,`;
  return godwitError('GODWIT_OVERLOADED', { what, limit }, { hint });
}
