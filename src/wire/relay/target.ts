import { GodwitError, godwitError } from '../../errors.ts';
import { withDeadline } from '../../deadline.ts';
import { DecodePipe } from '../codec/decode-pipe.ts';
import { makeHash64 } from '../codec/hash.ts';
import { DecodeThread } from '../codec/threads.ts';
import { MAX_SUMMARY_NAMES } from '../cache/summary.ts';
import type { WireCache } from '../cache/circles.ts';
import type { Session } from '../../links/session.ts';
import { BACK, CHANNEL, Channels, CONNECTIONS } from '../../links/channels.ts';
import type { Relay, RelayFigures } from './relay.ts';
import * as hello from './hello.ts';
import { MAX_LINK } from './in-flight.ts';
import { TargetConnection } from './target-connection.ts';

export interface TargetRelayOptions {
  /** Unix socket on which the hypervisor listens. */
  readonly socket: string;
  readonly peer: string;
  /** Memory of the admitted guest, which limits the per-page memory. */
  readonly memoryBytes: number;
  readonly cache?: WireCache | undefined;
}

/** Taken bytes are reported after this amount or time, because each report is work for both movers. */
const REPORT_BYTES = 512 * 1024;
const REPORT_MS = 4;
/** Time for the hypervisor to take the rest after the source has closed the session. */
const LAST_MS = 10_000;

/** Destination's relay, from the session's channels to its hypervisor's connections. */
export class TargetRelay implements Relay {
  readonly #options: TargetRelayOptions;
  readonly #channels: Channels;
  readonly #stop = new AbortController();
  readonly #failed = Promise.withResolvers<never>();
  readonly #connections: TargetConnection[];
  #thread: DecodeThread | undefined;
  #urgent: DecodePipe | undefined;
  #failure: Error | undefined;
  #takenBytes = 0;
  #reportedBytes = 0;
  #isReporting = false;
  #reportTimer: NodeJS.Timeout | undefined;
  #returnBytes = 0;
  /** End of the codec's thread, which saves its state. */
  #closing: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(session: Session, options: TargetRelayOptions) {
    this.#channels = new Channels(session);
    this.#options = options;
    this.#failed.promise.catch(() => undefined);
    // The source has closed it, so everything is here; the hypervisor may still have to take the rest.
    session.ended
      .then(() => {
        // The source is no longer there for reports.
        this.#isReporting = true;
        return this.close(LAST_MS);
      })
      .catch((error: unknown) => this.fail(error));
    this.#connections = CONNECTIONS.map((_, index) => this.#connection(index));
    this.#channels.on(CHANNEL.control, (message) => this.#control(message));
  }

  /** Rejects after a failure; otherwise never settles. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  get figures(): RelayFigures {
    return {
      streamBytes: this.#takenBytes,
      returnBytes: this.#returnBytes,
      tallies: [],
    };
  }

  /** Waits until the source has ended and the hypervisor has everything; rejects if that fails. */
  close(deadlineMs: number): Promise<void> {
    this.#closed ??= this.#close(deadlineMs);
    return this.#closed;
  }

  async #close(deadlineMs: number): Promise<void> {
    try {
      await withDeadline('the end of the wire', deadlineMs, this.#stop.signal, async () => {
        await Promise.all(this.#connections.map((connection) => connection.done()));
        await this.#closing;
        await this.#reportTaken();
      });
    } finally {
      this.#release(new Error('the wire was closed'));
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
    this.#release(this.#failure);
    this.#channels.session.abort(this.#failure);
  }

  #release(reason: Error): void {
    this.#stop.abort(reason);
    clearTimeout(this.#reportTimer);
    this.#urgent?.close();
    for (const connection of this.#connections) connection.break();
  }

  #connection(index: number): TargetConnection {
    const main = index === 0;
    return new TargetConnection({
      socket: this.#options.socket,
      after: () => (main ? undefined : this.#connections[0]?.connected),
      taken: (bytes) => main && this.#taken(bytes),
      back: (bytes) => this.#back(index, bytes),
      backEnded: () => this.#channels.send(CONNECTIONS[index]?.back ?? 0, Buffer.from([BACK.end])),
      ended: () => this.#ended(index),
      broken: () => this.#send({ type: 'broken', connection: index }),
      fail: (error) => this.fail(error),
    });
  }

  async #control(bytes: Uint8Array): Promise<void> {
    const message = hello.readMessage(hello.toTarget, bytes, this.#options.peer);
    switch (message.type) {
      case 'hello':
        return this.#start(message);
      case 'open':
        return this.#connections[message.connection]?.open();
      case 'broken':
        return this.#connections[message.connection]?.break();
    }
  }

  async #start(theirs: hello.SourceHello): Promise<void> {
    if (this.#thread !== undefined) throw new Error('a second hello');
    const { cache, memoryBytes } = this.#options;
    const own = hello.answerCache(cache, theirs, memoryBytes);
    const knows = own.tag !== null && [theirs.tag, ...(theirs.earlier ?? [])].includes(own.tag);
    const seed = BigInt(`0x${theirs.seed}`);
    this.#thread = new DecodeThread({
      start: {
        settings: theirs.settings,
        seed,
        cache: knows ? hello.agreedCache(cache, own.tag, theirs.digest, theirs.cells) : undefined,
        mostHeldBytes: MAX_LINK + MAX_LINK / 2,
        mostSummaryNames: MAX_SUMMARY_NAMES,
      },
      give: async (items) => this.#connections[0]?.give(items),
      answer: (frame) => this.#channels.send(CHANNEL.answersMain, frame),
      signal: this.#stop.signal,
    });
    const thread = this.#thread;
    thread.onEnd((error) => this.#corrupt(error));
    const summary = await thread.summary;
    const summaryBytes = summary.length;
    await this.#send({ type: 'hello', version: 1, summaryBytes, ...own });
    this.#channels.on(CHANNEL.main, async (bytes) => {
      // Data after the end is dropped.
      if (this.#stop.signal.aborted) return;
      await thread.write(bytes).catch((error: unknown) => this.#corrupt(error));
    });
    await this.#startUrgent(seed);
    await this.#channels.send(CHANNEL.summary, summary);
  }

  async #startUrgent(seed: bigint): Promise<void> {
    const connection = this.#connections[1];
    const pipe = new DecodePipe({
      settings: hello.URGENT_SETTINGS,
      hash64: await makeHash64(seed),
      mostHeldBytes: MAX_LINK,
      give: (item) => {
        connection?.gather(item);
        return undefined;
      },
      compared: () => connection?.pass(),
      answer: (frame) => this.#channels.send(CHANNEL.answersUrgent, frame),
    });
    this.#urgent = pipe;
    this.#channels.on(CHANNEL.urgent, (bytes) =>
      pipe.write(bytes).catch((error: unknown) => this.#corrupt(error)),
    );
  }

  /** The source's hypervisor has ended this connection, and this side's has all its data. */
  #ended(index: number): void {
    // Called from within the thread's output, whose end waits for it.
    if (index === 0) this.#closing = this.#thread?.close().catch((error) => this.#corrupt(error));
  }

  #corrupt(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    const what = error instanceof Error ? error.message : String(error);
    const { peer } = this.#options;
    this.fail(
      error instanceof GodwitError
        ? error
        : godwitError('GODWIT_WIRE_CORRUPT', { peer, what }, { cause: error }),
    );
  }

  #taken(bytes: number): void {
    this.#takenBytes += bytes;
    if (this.#takenBytes - this.#reportedBytes >= REPORT_BYTES) void this.#reportTaken();
    else this.#reportTimer ??= setTimeout(() => void this.#reportTaken(), REPORT_MS);
  }

  /** One message at a time; later amounts are joined. */
  async #reportTaken(): Promise<void> {
    clearTimeout(this.#reportTimer);
    this.#reportTimer = undefined;
    if (this.#isReporting) return;
    this.#isReporting = true;
    while (this.#reportedBytes < this.#takenBytes && this.#failure === undefined) {
      this.#reportedBytes = this.#takenBytes;
      await this.#send({ type: 'taken', bytes: this.#reportedBytes });
    }
    this.#isReporting = false;
  }

  async #back(index: number, bytes: Uint8Array): Promise<void> {
    this.#returnBytes += bytes.length;
    const message = Buffer.concat([Buffer.from([BACK.bytes]), bytes]);
    await this.#channels.send(CONNECTIONS[index]?.back ?? 0, message);
  }

  async #send(message: hello.ToSource): Promise<void> {
    try {
      await this.#channels.send(CHANNEL.control, hello.writeMessage(message));
    } catch (error) {
      this.fail(error);
    }
  }
}
