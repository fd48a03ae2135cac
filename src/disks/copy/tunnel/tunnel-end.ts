import { rm } from 'node:fs/promises';
import net from 'node:net';
import { toGodwitError } from '../../../errors.ts';
import type { LinkSession } from '../../../links/link-session.ts';
import type { SessionServer } from '../../../links/server.ts';
import { LocalSocket } from '../../../links/local-socket.ts';
import type { LinkMeasure } from '../../../links/session.ts';
import { ListeningEnd } from '../../../links/endpoint.ts';
import type { TargetTunnel, Tunnel, TunnelFigures } from './open.ts';
import type { Beside, Mux } from './mux.ts';
import { windowFor } from './window.ts';

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

/** A session, and the connections over it. */
export class TunnelEnd implements Tunnel {
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
export class ListeningTunnel
  extends ListeningEnd<TunnelFigures, TunnelEnd>
  implements TargetTunnel
{
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
