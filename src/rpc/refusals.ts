import { systemClock } from '../clock.ts';
import type { ErrorCode } from '../errors.ts';
import type { Refusal } from '../protocol/public/trust.ts';
import type { Circle } from './limits.ts';

/** Refusals of one kind to one peer are logged once in so long; the others are counted. */
const LOG_EVERY_MS = 60_000;
/** Peers and kinds that are remembered. Beyond, the oldest goes of whoever has most: nobody pushes another's out. */
const MAX = 1024;
/** Of one peer that has shown a certificate: more than there are kinds of trust. */
const MAX_EACH = 32;
/** Of all strangers together, who have as many addresses as they like. */
const MAX_STRANGERS = 512;
const STRANGERS = 'strangers';
const MAX_MESSAGE = 500;

/** What was refused before it could say who it is. */
export const CONNECTION = 'connection';
/** What a refusal of trust is: the peer may not, said what cannot be, or asked for more than its share. */
const OF_TRUST: ReadonlySet<string> = new Set<ErrorCode | typeof CONNECTION>([
  CONNECTION,
  'GODWIT_CERT_EXPIRED',
  'GODWIT_CERT_REVOKED',
  'GODWIT_CERT_SUPERSEDED',
  'GODWIT_DESCRIPTION_REFUSED',
  'GODWIT_DISK_PLACE',
  'GODWIT_JOIN_TOKEN',
  'GODWIT_LIST_EXPIRED',
  'GODWIT_NOT_A_MEMBER',
  'GODWIT_OVERLOADED',
  'GODWIT_PEER_UNTRUSTED',
  'GODWIT_PROTOCOL_INVALID',
  'GODWIT_PROTOCOL_VERSION',
  'GODWIT_ROLE_FORBIDDEN',
  'GODWIT_TOO_LARGE',
]);

interface RefusalEntry {
  refusal: Refusal;
  loggedMs: number;
  unlogged: number;
}

/** What was refused to whom. */
type RefusalFacts = Pick<Refusal, 'peer' | 'code' | 'message'> & { readonly circle?: Circle };

/** What goes into the line of a log with a refusal. */
export interface Note {
  /** So many of this kind to this peer since the process began. */
  readonly count: number;
  /** So many since the line before that were not logged. */
  readonly unlogged?: number;
}

export interface RefusalClock {
  monotonicMs(): number;
  wallMs(): number;
}

/**
 * Whatever a process refuses to others goes through here: it is counted for each peer and kind, logged once a minute,
 * and shown by `godwit doctor`. Whoever is refused over and over fills neither a log nor memory.
 */
export class Refusals {
  /** Called with each refusal of trust. */
  changed: (() => void) | undefined;
  readonly #clock: RefusalClock;
  /** Peers with a certificate, and strangers as if they were one; of each, peers and kinds, the oldest first. */
  readonly #owners = new Map<string, Map<string, RefusalEntry>>();
  #size = 0;

  constructor(clock: RefusalClock = systemClock) {
    this.#clock = clock;
  }

  /** Counts one. What to log with it; undefined where one of its kind to that peer was logged within the minute. */
  note({ peer, code, message, circle }: RefusalFacts): Note | undefined {
    const isStranger = circle === 'stranger';
    const owner = isStranger ? STRANGERS : `peer ${peer}`;
    const own = this.#owners.get(owner) ?? new Map<string, RefusalEntry>();
    this.#owners.set(owner, own);
    const key = `${code} ${peer}`;
    const nowMs = this.#clock.monotonicMs();
    const before = own.get(key);
    const count = (before?.refusal.count ?? 0) + 1;
    const at = new Date(this.#clock.wallMs()).toISOString();
    const refusal = { peer, code, count, message: message.slice(0, MAX_MESSAGE), at };
    if (OF_TRUST.has(code)) this.changed?.();
    if (before !== undefined && nowMs - before.loggedMs < LOG_EVERY_MS) {
      before.refusal = refusal;
      before.unlogged += 1;
      return undefined;
    }
    if (own.delete(key)) this.#size -= 1;
    own.set(key, { refusal, loggedMs: nowMs, unlogged: 0 });
    this.#size += 1;
    if (own.size > (isStranger ? MAX_STRANGERS : MAX_EACH)) this.#forget(owner);
    if (this.#size > MAX) this.#forget(this.#largest());
    const unlogged = before?.unlogged ?? 0;
    return { count, ...(unlogged > 0 && { unlogged }) };
  }

  #largest(): string {
    let [largest, most] = ['', 0];
    for (const [owner, { size }] of this.#owners) {
      if (size > most) [largest, most] = [owner, size];
    }
    return largest;
  }

  #forget(owner: string): void {
    const own = this.#owners.get(owner);
    const [oldest] = own?.keys() ?? [];
    if (own === undefined || oldest === undefined) return;
    own.delete(oldest);
    this.#size -= 1;
    if (own.size === 0) this.#owners.delete(owner);
  }

  /** What was refused of trust since this process began. */
  list(): Refusal[] {
    return [...this.#owners.values()]
      .flatMap((own) => [...own.values()])
      .map(({ refusal }) => refusal)
      .filter(({ code }) => OF_TRUST.has(code))
      .toSorted((one, other) => (one.at < other.at ? -1 : 1));
  }

  /** Of how many peers and kinds something is remembered. */
  get size(): number {
    return this.#size;
  }
}

/** Of a process that serves one host: all that listens in it, where it is not given another. */
export const ownRefusals = new Refusals();
