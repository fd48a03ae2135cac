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
 * What a mover needs to have disks copied: a unix socket at the source, to which its hypervisor connects, joined with one
 * at the destination, on which the other listens. The bytes go as they are, over one session that outlives its links.
 */

/** How often the window follows the link. */
const WINDOW_MS = 50;
/** A limit for answers is looked after so many times within it, and not more or less often than this. */
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
  /** Bytes of this side's hypervisor for the other one's, and of that one's for this. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Bytes of frames that went over the links, both ways, what was sent twice included. */
  readonly linkBytes: number;
  /** Times without any connection, and the longest, ms. */
  readonly cuts: number;
  readonly longestCutMs: number;
}

/** One end of the tunnel, from its opening until it is over. */
export interface Tunnel extends SessionEnd<TunnelFigures> {
  /** Caps what this end sends, bytes/s; undefined: as much as the links and the host's budget let it. */
  limit(bytesPerS: number | undefined): void;
  /**
   * From now on a connection is broken, as if the hypervisor at the other end had gone, when nothing answers what was
   * sent on it for longer than this; the session stays. undefined: never, as at first.
   */
  mustAnswerWithin(ms: number | undefined): void;
  readonly beside: Beside;
}

export interface TargetTunnel extends Tunnel {
  /** host:port on which it waits for the source's mover. */
  readonly address: string;
}

/** A session, and the connections over it. */
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

  /** Makes the socket for this side's hypervisor; where that fails, the session is over. */
  async listen(socket: string): Promise<void> {
    this.#server.on('connection', (near) => {
      const socket = new LocalSocket(near);
      if (!this.#mux.open(socket)) socket.break();
    });
    try {
      // A mover that was killed has left its own.
      await rm(socket, { force: true });
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject);
        // The directory may be another user's, who puts a link in the place of the socket: nothing is changed by its path.
        const umask = process.umask(0o177);
        this.#server.listen(socket, resolve);
        process.umask(umask);
      });
    } catch (error) {
      this.abort(error as Error);
      throw error;
    }
    // It ended meanwhile: nobody would close the socket any more.
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

/** The destination's end, before and after the source has connected. */
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

/** Reaches the other mover and makes the socket. Rejects soon after the signal aborts; once open, it means nothing more. */
export async function openSourceTunnel(
  options: SourceTunnelOptions,
  signal: AbortSignal,
): Promise<Tunnel> {
  signal.throwIfAborted();
  // A session keeps its signal for good, and this one is often of a step that ends before the tunnel does.
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

/** Listens for the other mover; what it opens goes to the hypervisor that listens on the socket. */
export async function openTargetTunnel(options: TargetTunnelOptions): Promise<TargetTunnel> {
  const { peer, socket } = options;
  const { server, opened, stop } = await listenFor(options, (session) => {
    const connect = (): Promise<LocalSocket> => LocalSocket.connect(socket);
    return new TunnelEnd(session, new Mux({ session, peer, connect }));
  });
  return new ListeningTunnel(server, opened, stop);
}
