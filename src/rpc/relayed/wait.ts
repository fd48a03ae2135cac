import type { Server, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { systemClock, type Clock } from '../../clock.ts';
import type { GodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { Credentials, RelayPlace } from '../tls.ts';
import { cameByRelay, relayCallerOf } from '../gate.ts';
import { askRelay } from './ask-relay.ts';

/** Streams that always wait at each relay for each server: as many callers find one at once. */
const SPARE = 2;
/** Streams that wait while many call; a relay lets 16 wait. */
const MAX_WAITING = 12;
/** A stream beyond `SPARE` that nobody has called for so long ends. */
const EXTRA_MS = 30_000;
/** Streams that one server has taken at once; beyond, it waits for one of them to end. */
const MAX_TAKEN = 256;
/** Those of them that one caller has, at all relays: as many as a server lets one host have, and its handshakes at one relay. */
const MAX_TAKEN_OF_ONE = 192;
/** A relay pings those who wait every 5 s. */
const SILENT_MS = 15_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2000;

export interface Waiting {
  /** Takes no more streams; those that were taken go on. */
  close(): void;
}

/**
 * Lets `server` take the streams of whoever calls this host at its relays, under the same limits as its other connections.
 * `port` is the one on which it listens on its own network: callers know it by that. A relay that is away is tried again.
 */
export function waitAtRelays(
  server: Server,
  port: number,
  { relayed, ...credentials }: Credentials,
  log: Log,
  clock: Clock = systemClock,
): Waiting {
  const over = new AbortController();
  const taken = new TakenStreams();
  for (const relay of relayed?.relays ?? []) {
    const place = { relay, at: `${relayed?.self}:${port}`, credentials, clock, log };
    const waiting = new WaitingAt(place, server, taken);
    waiting.begin(over.signal);
  }
  return { close: () => over.abort(new Error('the server was closed')) };
}

/** The streams of relays that a server has taken, until they close: one caller leaves places for the others. */
export class TakenStreams {
  readonly #callers = new Map<Socket, string | undefined>();

  get isFull(): boolean {
    return this.#callers.size >= MAX_TAKEN;
  }

  /** False if the caller has its share of them already. */
  take(socket: Socket): boolean {
    const caller = relayCallerOf(socket);
    const own = [...this.#callers.values()].filter((each) => each === caller).length;
    if (own >= MAX_TAKEN_OF_ONE) return false;
    this.#callers.set(socket, caller);
    socket.once('close', () => this.#callers.delete(socket));
    return true;
  }
}

interface Place {
  readonly relay: RelayPlace;
  readonly at: string;
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly log: Log;
}

/** The streams of one server that wait at one relay. */
class WaitingAt {
  readonly #place: Place;
  readonly #server: Server;
  readonly #taken: TakenStreams;
  /** What was last logged, so that it is logged once. */
  #reported: string | undefined;
  #extra = 0;
  /** Streams that wait at this moment. */
  #waits = 0;

  constructor(place: Place, server: Server, taken: TakenStreams) {
    this.#place = place;
    this.#server = server;
    this.#taken = taken;
  }

  begin(signal: AbortSignal): void {
    for (let slot = 0; slot < SPARE; slot += 1) void this.#keep(signal);
  }

  /** Keeps one stream waiting, again and again; never rejects, ends with the signal. */
  async #keep(signal: AbortSignal): Promise<void> {
    for (let pauseMs = 0; !signal.aborted;) {
      await this.#pause(pauseMs, signal);
      if (signal.aborted || this.#taken.isFull) continue;
      const socket = await this.#wait(signal);
      pauseMs =
        socket === undefined
          ? Math.min(Math.max(pauseMs * 2, FIRST_PAUSE_MS), LONGEST_PAUSE_MS)
          : 0;
      if (socket !== undefined) this.#took(socket, signal);
    }
  }

  /** One more stream for as long as callers take it; never rejects. */
  async #help(signal: AbortSignal): Promise<void> {
    this.#extra += 1;
    for (let isWanted = true; isWanted && !signal.aborted;) {
      await this.#pause(0, signal);
      const socket = this.#taken.isFull ? undefined : await this.#wait(signal, EXTRA_MS);
      if (socket !== undefined) this.#took(socket, signal);
      isWanted = socket !== undefined;
    }
    this.#extra -= 1;
  }

  /** A caller that finds nobody waits for a whole new connection: where the last stream is taken, more wait from now on. */
  #took(socket: TLSSocket, signal: AbortSignal): void {
    if (this.#waits === 0 && SPARE + this.#extra < MAX_WAITING) void this.#help(signal);
    this.#take(socket);
  }

  async #pause(pauseMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#place;
    const ms = this.#taken.isFull ? LONGEST_PAUSE_MS : pauseMs;
    await clock.sleep(ms, signal).catch(() => undefined);
  }

  #take(socket: TLSSocket): void {
    socket.on('error', () => undefined);
    if (!this.#taken.take(socket)) {
      socket.destroy();
      return;
    }
    try {
      this.#server.emit('connection', socket);
    } catch (thrown) {
      // Nothing that comes of one caller may end the waiting.
      const { relay, at, log } = this.#place;
      log.error({ err: thrown, relay: relay.name, at }, 'stream of the relay not accepted');
      socket.destroy();
    }
  }

  /** The stream of a caller; undefined where the relay gave none, or nobody called for `forMs`. */
  #wait(signal: AbortSignal, forMs?: number): Promise<TLSSocket | undefined> {
    const { relay, at, credentials } = this.#place;
    return new Promise((resolve) => {
      const over = new AbortController();
      let late: NodeJS.Timeout | undefined;
      let isWaiting = false;
      let isNeeded = true;
      const unneeded =
        forMs === undefined
          ? undefined
          : setTimeout(() => {
              isNeeded = false;
              over.abort(new Error('nobody called'));
            }, forMs);
      const hear = (): void => {
        clearTimeout(late);
        late = setTimeout(() => over.abort(new Error(`silent for ${SILENT_MS} ms`)), SILENT_MS);
      };
      const done = (socket: TLSSocket | undefined): void => {
        clearTimeout(late);
        clearTimeout(unneeded);
        if (isWaiting) this.#waits -= 1;
        isWaiting = false;
        resolve(socket);
      };
      hear();
      const stream = askRelay(
        relay,
        credentials,
        { does: 'wait', at },
        {
          line: (line) => {
            const { type } = line;
            hear();
            if (type === 'waits') {
              if (!isWaiting) this.#waits += 1;
              isWaiting = true;
              this.#report(undefined);
            } else if (type === 'ping') {
              // A pong that still waits answers this one, too.
              if (!stream.isSaying) stream.say('pong');
            } else if (type === 'offer') {
              cameByRelay(stream.socket, line.by);
              stream.say('ready');
              const isClean = stream.release();
              if (!isClean) stream.socket.destroy();
              done(isClean ? stream.socket : undefined);
            }
          },
          over: (error) => {
            if (isNeeded && !signal.aborted) this.#report(error);
            done(undefined);
          },
        },
        AbortSignal.any([signal, over.signal]),
      );
    });
  }

  #report(error: GodwitError | undefined): void {
    const { relay, at, log } = this.#place;
    const text = error?.message ?? '';
    if (text === this.#reported) return;
    this.#reported = text;
    if (error === undefined) log.info({ relay: relay.name, at }, 'waiting at the relay');
    else log.warn({ relay: relay.name, at, reason: text }, 'cannot wait at the relay');
  }
}
