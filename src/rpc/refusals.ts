import { systemClock } from '../clock.ts';
import type { ErrorCode } from '../errors.ts';
import type { Refusal } from '../protocol/public/trust.ts';

/** Refusals of one kind to one peer are logged once in so long; the others are counted. */
const LOG_EVERY_MS = 60_000;
/** Peers and kinds that are remembered; the one that came first is forgotten for a new one. */
const MOST = 1024;
const MOST_MESSAGE = 500;

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

interface Kept {
  refusal: Refusal;
  loggedMs: number;
  unlogged: number;
}

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
  readonly #kept = new Map<string, Kept>();

  constructor(clock: RefusalClock = systemClock) {
    this.#clock = clock;
  }

  /** Counts one. What to log with it; undefined where one of its kind to that peer was logged within the minute. */
  note({ peer, code, message }: Pick<Refusal, 'peer' | 'code' | 'message'>): Note | undefined {
    const key = `${code} ${peer}`;
    const nowMs = this.#clock.monotonicMs();
    const before = this.#kept.get(key);
    const count = (before?.refusal.count ?? 0) + 1;
    const at = new Date(this.#clock.wallMs()).toISOString();
    const refusal = { peer, code, count, message: message.slice(0, MOST_MESSAGE), at };
    if (OF_TRUST.has(code)) this.changed?.();
    if (before !== undefined && nowMs - before.loggedMs < LOG_EVERY_MS) {
      before.refusal = refusal;
      before.unlogged += 1;
      return undefined;
    }
    this.#kept.delete(key);
    this.#kept.set(key, { refusal, loggedMs: nowMs, unlogged: 0 });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MOST && oldest !== undefined) this.#kept.delete(oldest);
    const unlogged = before?.unlogged ?? 0;
    return { count, ...(unlogged > 0 && { unlogged }) };
  }

  /** What was refused of trust since this process began. */
  list(): Refusal[] {
    return [...this.#kept.values()]
      .map(({ refusal }) => refusal)
      .filter(({ code }) => OF_TRUST.has(code));
  }

  /** Of how many peers and kinds something is remembered. */
  get size(): number {
    return this.#kept.size;
  }
}

/** Of a process that serves one host: all that listens in it, where it is not given another. */
export const ownRefusals = new Refusals();
