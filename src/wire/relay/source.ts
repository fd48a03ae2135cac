import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import net from 'node:net';
import { withDeadline } from '../../deadline.ts';
import { GodwitError, godwitError } from '../../errors.ts';
import type { EncodeTally } from '../codec/thread-messages.ts';
import { EncodeThread } from '../codec/threads.ts';
import type { WireCache } from '../cache/circles.ts';
import type { Session } from '../../links/session.ts';
import { StreamContext } from '../stream/context.ts';
import { BACK, CHANNEL, Channels, CONNECTIONS } from '../../links/channels.ts';
import type { Relay, RelayFigures } from './relay.ts';
import { urgentEncoding, type Encoding } from './encoding.ts';
import * as hello from './hello.ts';
import { limitsOf, soonOr, StreamMeter } from './in-flight.ts';
import { LocalSocket } from '../../links/local-socket.ts';
import { SourceConnection } from './source-connection.ts';

export interface SourceRelayOptions {
  /** Path of the unix socket to create. */
  readonly socket: string;
  readonly peer: string;
  readonly memoryBytes: number;
  readonly cores: number;
  /** Assumed rate of the links until it is measured. */
  readonly saidBytesPerS?: number | undefined;
  readonly cache?: WireCache | undefined;
  /** Block context from an earlier session of the same migration, because a recovered post-copy does not repeat it. */
  readonly context?: StreamContext | undefined;
  readonly isSwitchedSoon?: boolean | undefined;
  /** Time for the other side to answer the first message. */
  readonly helloMs: number;
}

/** Interval of checks for room without an event. */
const LOOK_MS = 5;
/** Reading resumes at this share of a limit, to avoid small steps. */
const AGAIN = 0.75;
/** Interval of reporting the link's rate to the codec. */
const REPORT_LINK_MS = 200;

/** Source's relay, from its hypervisor's connections to the session's channels. */
export class SourceRelay implements Relay {
  readonly #options: SourceRelayOptions;
  readonly #channels: Channels;
  readonly #server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  readonly #context: StreamContext;
  readonly #meter = new StreamMeter();
  readonly #sockets: LocalSocket[] = [];
  readonly #encodings: Encoding[] = [];
  readonly #runs: Promise<void>[] = [];
  readonly #stop = new AbortController();
  readonly #seed = randomBytes(8);
  #agreed: hello.TargetHello | undefined;
  #summary = Promise.withResolvers<Uint8Array>();
  #wake: () => void = () => undefined;
  #linkReportedAtMs = 0;
  /** A connection broke, so not everything will be taken. */
  #broke = false;
  #returnBytes = 0;
  #streamBytes = 0;
  #failure: Error | undefined;
  #closed: Promise<void> | undefined;
  readonly #tallies: EncodeTally[] = [];
  readonly #failed = Promise.withResolvers<never>();

  private constructor(session: Session, options: SourceRelayOptions) {
    this.#channels = new Channels(session);
    this.#options = options;
    this.#context = options.context ?? new StreamContext();
    this.#failed.promise.catch(() => undefined);
    this.#summary.promise.catch(() => undefined);
    session.ended.catch((error: unknown) => this.fail(error));
    this.#channels.on(CHANNEL.control, (message) => this.#control(message));
  }

  /** Negotiates with the far side, then listens for the hypervisor. */
  static async open(session: Session, options: SourceRelayOptions): Promise<SourceRelay> {
    const relay = new SourceRelay(session, options);
    try {
      const what = `the hello of the wire to ${options.peer}`;
      await withDeadline(what, options.helloMs, relay.#stop.signal, () => relay.#start());
      return relay;
    } catch (error) {
      relay.fail(error);
      throw error;
    }
  }

  /** Rejects after a failure; otherwise never settles. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  get figures(): RelayFigures {
    return {
      streamBytes: this.#streamBytes,
      returnBytes: this.#returnBytes,
      tallies: this.#tallies,
    };
  }

  /** Waits until the far hypervisor has taken everything, then ends the codec. Rejects if that fails. */
  close(deadlineMs: number): Promise<void> {
    this.#closed ??= this.#close(deadlineMs);
    return this.#closed;
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#server.close();
    try {
      await withDeadline('the end of the wire', deadlineMs, this.#stop.signal, async () => {
        await Promise.all(this.#runs);
        while (!this.#broke && this.#meter.underWay > 0) await this.#changed();
        for (const encoding of this.#encodings) {
          const tally = await encoding.close();
          if (tally !== undefined) this.#tallies.push(tally);
        }
      });
    } finally {
      await this.#release(new Error('the wire was closed'));
    }
  }

  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    const { peer } = this.#options;
    this.#failure =
      error instanceof GodwitError
        ? error
        : godwitError('GODWIT_WIRE_BROKEN', { peer, what: String(error) }, { cause: error });
    this.#failed.reject(this.#failure);
    this.#summary.reject(this.#failure);
    void this.#release(this.#failure);
    this.#channels.session.abort(this.#failure);
  }

  async #release(reason: Error): Promise<void> {
    this.#stop.abort(reason);
    this.#server.close();
    for (const socket of this.#sockets) socket.break();
    this.#wake();
    await rm(this.#options.socket, { force: true });
  }

  async #start(): Promise<void> {
    const { cache, memoryBytes, socket, cores, saidBytesPerS } = this.#options;
    const cells = hello.cellsFor(memoryBytes);
    const own = hello.reportCache(cache, cells);
    const settings = hello.settingsFor(own, cells);
    const seed = this.#seed.toString('hex');
    await this.#send({ type: 'hello', version: 1, settings, seed, cells, ...own });
    const farSummary = await this.#summary.promise;
    const far = this.#agreed ?? { tag: null, digest: '' };
    const encoding = new EncodeThread({
      start: {
        settings,
        seed: this.#seed.readBigUInt64BE(),
        cache: own.tag === null ? undefined : hello.agreedCache(cache, far.tag, far.digest, cells),
        cores,
        saidBytesPerS,
        farSummary,
      },
      send: (frame) => this.#channels.send(CHANNEL.main, frame),
      signal: this.#stop.signal,
    });
    encoding.onEnd((error) => this.fail(error));
    this.#addEncoding(0, encoding);
    this.#reportLink = (bytesPerS) => encoding.linkCarries(bytesPerS);
    const urgent = await urgentEncoding(
      this.#seed.readBigUInt64BE(),
      (frame) => this.#channels.send(CHANNEL.urgent, frame),
      (error) => this.fail(error),
    );
    this.#addEncoding(1, urgent);
    this.#server.on('connection', (near) => this.#connected(near));
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(socket, resolve);
    });
  }

  #reportLink: (bytesPerS: number) => void = () => undefined;

  #addEncoding(connection: number, encoding: Encoding): void {
    this.#encodings.push(encoding);
    const channels = CONNECTIONS[connection];
    if (channels === undefined) return;
    this.#channels.on(channels.answers, (bytes) => encoding.answer(bytes));
    this.#channels.on(channels.back, (message) => this.#back(connection, message));
  }

  #connected(near: net.Socket): void {
    const connection = this.#sockets.length;
    const encoding = this.#encodings[connection];
    if (encoding === undefined || this.#failure !== undefined) return void near.destroy();
    const socket = new LocalSocket(near);
    this.#sockets.push(socket);
    const main = connection === 0;
    const run = new SourceConnection({
      socket,
      context: this.#context,
      encoding,
      count: (bytes) => {
        this.#streamBytes += bytes;
        if (main) this.#meter.read(bytes);
      },
      room: main ? (round, again) => this.#room(round, again) : () => true,
      changed: () => this.#changed(),
      gathers: main,
    });
    this.#runs.push(this.#run(connection, run).catch((error: unknown) => this.fail(error)));
  }

  async #run(connection: number, run: SourceConnection): Promise<void> {
    await this.#send({ type: 'open', connection });
    if (await run.run()) return;
    this.#broke = true;
    await this.#send({ type: 'broken', connection });
  }

  #room(round: number, again: boolean): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    const { measure, unacknowledgedBytes } = this.#channels.session;
    const { isSwitchedSoon = false } = this.#options;
    const limits = limitsOf(measure, this.#meter.bytesPerS, soonOr(round, isSwitchedSoon));
    const share = again ? AGAIN : 1;
    return (
      unacknowledgedBytes <= limits.linkBytes * share &&
      this.#meter.underWay <= limits.streamBytes * share
    );
  }

  async #changed(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const late = setTimeout(resolve, LOOK_MS);
    this.#wake = resolve;
    await promise;
    clearTimeout(late);
  }

  async #control(bytes: Uint8Array): Promise<void> {
    const { peer } = this.#options;
    const message = hello.readMessage(hello.toSource, bytes, peer);
    switch (message.type) {
      case 'hello':
        return this.#hello(message);
      case 'taken': {
        const nowMs = performance.now();
        if (!this.#meter.taken(message.bytes, nowMs)) {
          const what = `${message.bytes} bytes taken`;
          throw godwitError('GODWIT_PROTOCOL_INVALID', { peer, expected: 'what was sent', what });
        }
        this.#lookAtLink(nowMs);
        return this.#wake();
      }
      case 'broken':
        return this.#sockets[message.connection]?.break();
    }
  }

  #lookAtLink(nowMs: number): void {
    const { bytesPerS } = this.#channels.session.measure;
    if (nowMs - this.#linkReportedAtMs < REPORT_LINK_MS || bytesPerS === 0) return;
    this.#linkReportedAtMs = nowMs;
    this.#reportLink(bytesPerS);
  }

  #hello(message: hello.TargetHello): void {
    if (this.#agreed !== undefined) throw new Error('a second hello');
    this.#agreed = message;
    const pieces: Uint8Array[] = [];
    let left = message.summaryBytes;
    this.#channels.on(CHANNEL.summary, async (piece) => {
      left -= piece.length;
      pieces.push(piece.slice());
      if (left === 0) this.#summary.resolve(Buffer.concat(pieces));
      if (left < 0) this.fail(new Error('a summary longer than was said'));
    });
  }

  async #back(connection: number, message: Uint8Array): Promise<void> {
    const socket = this.#sockets[connection];
    if (message[0] === BACK.end) return socket?.finish();
    this.#returnBytes += message.length - 1;
    await socket?.write(message.subarray(1));
  }

  async #send(message: hello.ToTarget): Promise<void> {
    await this.#channels.send(CHANNEL.control, hello.writeMessage(message));
  }
}
