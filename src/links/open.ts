import { systemClock } from '../clock.ts';
import { withDeadline } from '../deadline.ts';
import { godwitError, GodwitError } from '../errors.ts';
import { silentLog, type Log } from '../log.ts';
import type { Credentials } from '../rpc/tls.ts';
import type { LinkMeasure } from './session.ts';
import { keepShare, type Budget } from './budget.ts';
import { dial, LinkRefusedError } from './dial.ts';
import { BadLinkFrame } from './format.ts';
import { LinkSession, type SessionOptions } from './link-session.ts';

export interface OpenOptions extends SessionOptions {
  readonly credentials: Credentials;
  /** host:port of the other mover's listener on each usable link; connections are spread over them. */
  readonly addresses: readonly string[];
  /** Further addresses, in order, for a connection whose address does not answer. */
  readonly spare?: readonly string[];
  /** Minimum number of connections; a longer link gets more. */
  readonly connections: number;
  /** Time for the first connection. */
  readonly openMs?: number;
  readonly budget?: Budget;
  readonly signal?: AbortSignal;
  readonly log?: Log;
}

export const MAX_CONNECTIONS = 32;
/** Enough to fill a long link; several connections also lose less from a packet loss. */
const MAX_FOR_LENGTH = 12;
/** Most bytes in flight of one connection, by the kernel's usual buffer limits. */
const CONNECTION_BYTES = 2 * 1024 * 1024;
const LENGTH_MS = 500;
const OPEN_MS = 10_000;
const FIRST_PAUSE_MS = 100;
/** A link may be back for little more than a second, and an attempt without an answer takes one and a half. */
const LONGEST_PAUSE_MS = 500;

/**
 * Opens a session to a waiting mover. Resolves once a connection is established, and then maintains the
 * connections.
 */
export async function openSession(options: OpenOptions): Promise<LinkSession> {
  const { addresses, connections, budget, signal, openMs = OPEN_MS } = options;
  if (addresses.length === 0 || connections < 1 || connections > MAX_CONNECTIONS) {
    throw new RangeError(`${connections} connections to ${addresses.length} addresses`);
  }
  const session = new LinkSession(options);
  const stop = (): void => session.abort(signal?.reason as Error);
  const dialer = new Dialer(session, options);
  try {
    await withDeadline(`the first connection to ${options.peer}`, openMs, signal, () =>
      Promise.race([dialer.first(), session.ended]),
    );
  } catch (error) {
    session.abort(dialer.failure ?? (error as Error));
    throw dialer.failure ?? error;
  }
  if (budget !== undefined) void keepShare(session, budget, options.log ?? silentLog);
  signal?.addEventListener('abort', stop, { once: true });
  session.over.addEventListener('abort', () => signal?.removeEventListener('abort', stop));
  return session;
}

class Dialer {
  readonly #session: LinkSession;
  readonly #options: OpenOptions;
  readonly #log: Log;
  failure: Error | undefined;

  constructor(session: LinkSession, options: OpenOptions) {
    this.#session = session;
    this.#options = options;
    this.#log = options.log ?? silentLog;
  }

  /** Resolves when the first connection is established; the others follow. */
  async first(): Promise<void> {
    await new Promise<void>((stands) => void this.#keep(0, stands));
    this.failure = undefined;
    void this.#keepEnough();
  }

  /** Never rejects; ends with the session. */
  async #keepEnough(): Promise<void> {
    const { connections, clock = systemClock } = this.#options;
    let slots = 1;
    while (!this.#session.over.aborted) {
      const wanted = connectionsFor(this.#session.measure, connections);
      for (; slots < wanted; slots += 1) void this.#keep(slots);
      await clock.sleep(LENGTH_MS, this.#session.over).catch(() => undefined);
    }
  }

  /** Never rejects; ends with the session. */
  async #keep(slot: number, stands?: () => void): Promise<void> {
    const addresses = addressesOf(slot, this.#options);
    let pauseMs = FIRST_PAUSE_MS;
    for (let tried = 0; !this.#session.over.aborted; tried += 1) {
      const address = addresses[tried % addresses.length] as string;
      try {
        const { gone } = await dial(this.#session, address, this.#options.credentials);
        stands?.();
        pauseMs = FIRST_PAUSE_MS;
        await gone;
        tried = -1;
        this.#log.info({ address }, 'connection of the session lost');
      } catch (error) {
        if (this.#isFinal(error, address)) return;
        this.#log.debug({ address, error }, 'connection of the session could not be opened');
      }
      const clock = this.#options.clock ?? systemClock;
      await clock.sleep(pauseMs, this.#session.over).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }

  #isFinal(error: unknown, address: string): boolean {
    if (error instanceof LinkRefusedError) {
      if (error.refusal.why === 'full') return true;
      this.#session.refused(error.refusal);
      return true;
    }
    const final =
      error instanceof BadLinkFrame ||
      (error instanceof GodwitError && !error.retryable && error.code !== 'GODWIT_DEADLINE');
    this.failure = final ? error : unreachable(this.#session.peer, address, error);
    if (final) this.#session.abort(error);
    return final;
  }
}

/** Number of connections to keep the link's capacity in flight. */
export function connectionsFor(
  { bytesPerS, roundTripMs }: Pick<LinkMeasure, 'bytesPerS' | 'roundTripMs'>,
  least: number,
): number {
  const filling = Math.ceil((bytesPerS * roundTripMs) / 1000 / CONNECTION_BYTES);
  return Math.max(least, Math.min(filling, MAX_FOR_LENGTH));
}

/** Own address first, then the others, then the spare ones. */
function addressesOf(slot: number, { addresses, spare = [] }: OpenOptions): string[] {
  const at = slot % addresses.length;
  return [...addresses.slice(at), ...addresses.slice(0, at), ...spare];
}

function unreachable(peer: string, address: string, cause: unknown): GodwitError {
  const reason = cause instanceof Error ? cause.message : 'it cannot be reached';
  return godwitError('GODWIT_UNREACHABLE', { peer, address, reason }, { cause });
}
