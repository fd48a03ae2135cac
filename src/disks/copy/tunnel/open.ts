import { rm } from 'node:fs/promises';
import net from 'node:net';
import { toGodwitError } from '../../../errors.ts';
import {
  listenFor,
  ListeningEnd,
  sessionOptions,
  type SessionTerms,
  type SourceEndpoint,
  type TargetEndpoint,
  type SessionEnd,
} from '../../../links/endpoint.ts';
import type { LinkSession } from '../../../links/link-session.ts';
import { LocalSocket } from '../../../links/local-socket.ts';
import { openSession } from '../../../links/open.ts';
import type { SessionServer } from '../../../links/server.ts';
import type { LinkMeasure } from '../../../links/session.ts';
import { Mux, type Beside } from './mux.ts';
import { windowFor } from './window.ts';

/**
 * Tunnel for disk copies: joins a unix socket at the source, which its hypervisor connects to, with a listening
 * socket at the destination. Bytes are unchanged, and the session survives link cuts.
 */

const WINDOW_MS = 50;
/** Checks per answer timeout, and limits of the interval. */
const LOOKS = 8;
const MIN_LOOK_MS = 10;
const MAX_LOOK_MS = 250;
const MIN_CLOSE_MS = 100;

const NO_FIGURES: TunnelFigures = {
  sentBytes: 0,
  receivedBytes: 0,
  linkBytes: 0,
  cuts: 0,
  longestCutMs: 0,
};

export interface SourceTunnelOptions extends SessionTerms, SourceEndpoint {}
export interface TargetTunnelOptions extends SessionTerms, TargetEndpoint {}

export interface TunnelFigures {
  /** Bytes between the hypervisors, in both directions. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Link bytes in both directions, including resent ones. */
  readonly linkBytes: number;
  /** Cuts without any connection, and the longest, ms. */
  readonly cuts: number;
  readonly longestCutMs: number;
}

export interface Tunnel extends SessionEnd<TunnelFigures> {
  /** Cap of this end, bytes/s; undefined: only the host's budget. */
  limit(bytesPerS: number | undefined): void;
  /**
   * Breaks each connection without an answer for longer than this from now on, as if the other hypervisor had gone;
   * the session stays. undefined: no limit (initial state).
   */
  mustAnswerWithin(ms: number | undefined): void;
  readonly beside: Beside;
}

export interface TargetTunnel extends Tunnel {
  /** host:port for the source's mover. */
  readonly address: string;
}

class TunnelEnd implements Tunnel {
  readonly ended: Promise<void>;
  readonly #session: LinkSession;
  readonly #mux: Mux;
  readonly #server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  readonly #window: NodeJS.Timeout;
  #looks: NodeJS.Timeout | undefined;

  constructor(session: LinkSession, mux: Mux) {
    this.#session = session;
    this.#mux = mux;
    this.ended = session.ended;
    this.#window = setInterval(() => session.setWindow(windowFor(session.measure)), WINDOW_MS);
    if (session.over.aborted) this.#release();
    else session.over.addEventListener('abort', () => this.#release(), { once: true });
  }

  get measure(): LinkMeasure {
    return this.#session.measure;
  }

  get beside(): Beside {
    return this.#mux;
  }

  figures(): TunnelFigures {
    const { sentBytes, receivedBytes } = this.#mux;
    const { counters } = this.#session;
    return {
      sentBytes,
      receivedBytes,
      linkBytes: counters.sentBytes + counters.receivedBytes,
      cuts: counters.cuts,
      longestCutMs: counters.longestCutMs,
    };
  }

  limit(bytesPerS: number | undefined): void {
    this.#session.setRate(bytesPerS);
  }

  mustAnswerWithin(ms: number | undefined): void {
    clearInterval(this.#looks);
    if (ms === undefined || this.#session.over.aborted) return;
    const everyMs = Math.min(MAX_LOOK_MS, Math.max(MIN_LOOK_MS, ms / LOOKS));
    this.#looks = setInterval(() => this.#mux.breakSilent(performance.now(), ms), everyMs);
  }

  /** Makes the socket for this side's hypervisor; a failure ends the session. */
  async listen(socket: string): Promise<void> {
    this.#server.on('connection', (near) => {
      const socket = new LocalSocket(near);
      if (!this.#mux.open(socket)) socket.break();
    });
    try {
      // Left by a mover that was killed.
      await rm(socket, { force: true });
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject);
        // Another user may own the directory and replace the socket by a link.
        const umask = process.umask(0o177);
        this.#server.listen(socket, resolve);
        process.umask(umask);
      });
    } catch (error) {
      this.abort(error as Error);
      throw error;
    }
    // The session ended meanwhile, and nothing else would close the socket.
    if (this.#session.over.aborted) this.#release();
  }

  async close(deadlineMs: number): Promise<void> {
    const untilMs = performance.now() + deadlineMs;
    this.#server.close();
    try {
      await this.#mux.idle(deadlineMs);
      await this.#session.close(Math.max(MIN_CLOSE_MS, untilMs - performance.now()));
    } catch (error) {
      this.abort(toGodwitError(error));
    }
  }

  abort(error: Error): void {
    this.#session.abort(error);
  }

  #release(): void {
    clearInterval(this.#window);
    clearInterval(this.#looks);
    this.#server.close();
  }
}

/** Destination end, before and after the source has connected. */
class ListeningTunnel extends ListeningEnd<TunnelFigures, TunnelEnd> implements TargetTunnel {
  readonly beside: Beside;
  readonly #opened: Promise<TunnelEnd>;

  constructor(server: SessionServer, opened: Promise<TunnelEnd>, stop: AbortController) {
    super(server, opened, stop, NO_FIGURES);
    this.#opened = opened;
    this.beside = {
      send: async (channel, message) => (await opened).beside.send(channel, message),
      on: (channel, take) => this.#onceOpen((end) => end.beside.on(channel, take)),
    };
  }

  limit(bytesPerS: number | undefined): void {
    this.#onceOpen((end) => end.limit(bytesPerS));
  }

  mustAnswerWithin(ms: number | undefined): void {
    this.#onceOpen((end) => end.mustAnswerWithin(ms));
  }

  #onceOpen(work: (end: TunnelEnd) => void): void {
    this.#opened.then(work, () => undefined);
  }
}

/**
 * Connects to the other mover and makes the socket. Rejects soon after the signal aborts; once open, the signal has
 * no effect.
 */
export async function openSourceTunnel(
  options: SourceTunnelOptions,
  signal: AbortSignal,
): Promise<Tunnel> {
  signal.throwIfAborted();
  // A session keeps its signal, but this one may end earlier.
  const opening = new AbortController();
  const stop = (): void => opening.abort(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    const terms = { ...sessionOptions(options), ...options, signal: opening.signal };
    const session = await openSession(terms);
    const mux = new Mux({ session, peer: options.peer });
    const end = new TunnelEnd(session, mux);
    await end.listen(options.socket);
    return end;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Listens for the other mover, and connects its streams to the hypervisor's socket. */
export async function openTargetTunnel(options: TargetTunnelOptions): Promise<TargetTunnel> {
  const { peer, socket } = options;
  const { server, opened, stop } = await listenFor(options, (session) => {
    const connect = (): Promise<LocalSocket> => LocalSocket.connect(socket);
    return new TunnelEnd(session, new Mux({ session, peer, connect }));
  });
  return new ListeningTunnel(server, opened, stop);
}
