import { setTimeout as sleep } from 'node:timers/promises';
import { withDeadline } from '../../../deadline.ts';
import { godwitError } from '../../../errors.ts';
import { Channels } from '../../../links/channels.ts';
import type { LocalSocket } from '../../../links/local-socket.ts';
import { laneOf, type Session } from '../../../links/session.ts';
import { SendQueue } from './send-queue.ts';
import { Stream } from './stream.ts';
import { BadTunnelMessage, readMessage, writeMessage } from './messages.ts';
import { AnswerTimeout } from './answer-timeout.ts';
import { CreditPool } from './flow-control.ts';

/** First channel for a hypervisor's connections; other bulk data uses the remaining channel. */
export const FIRST_STREAM = 32;
export const LAST_STREAM = 62;

/** Connections that the other side may open per second; the next one waits. */
const MAX_OPENED = 2 * (LAST_STREAM - FIRST_STREAM + 1);
const OPENED_MS = 1000;

/** Messages between the movers, on channels without connections. */
export interface Beside {
  /** Resolves once the session has taken everything. Bulk takes turns with the streams. */
  send(channel: number, message: Uint8Array): Promise<void>;
  /**
   * Receives a channel's messages, including earlier ones; the next one comes when `take` resolves. Once per channel.
   */
  on(channel: number, take: (message: Uint8Array) => Promise<void>): void;
}

export interface MuxDependencies {
  readonly session: Session;
  readonly peer: string;
  /** Connects to this side's hypervisor for the other side; absent if only this side opens connections. */
  readonly connect?: () => Promise<LocalSocket>;
}

/** Multiplexes a hypervisor's connections over a session; the same at both ends except for who opens them. */
export class Mux implements Beside {
  readonly #deps: MuxDependencies;
  readonly #channels: Channels;
  readonly #sending: SendQueue;
  readonly #pool = new CreditPool();
  readonly #streams = new Map<
    number,
    { readonly stream: Stream; readonly timeout: AnswerTimeout }
  >();
  readonly #idle: (() => void)[] = [];
  /** Times of the last MAX_OPENED connections opened by the other side. */
  readonly #openedMs: number[] = [];
  #isOver = false;
  sentBytes = 0;
  receivedBytes = 0;

  constructor(deps: MuxDependencies) {
    const { session } = deps;
    this.#deps = deps;
    this.#sending = new SendQueue((channel, message) => session.send(channel, message));
    const over = (): void => this.#end();
    session.ended.then(over, over);
    this.#channels = new Channels(session);
    for (let channel = FIRST_STREAM; channel <= LAST_STREAM; channel += 1) {
      this.#channels.on(channel, (message) => this.#take(channel, message));
    }
  }

  get streams(): number {
    return this.#streams.size;
  }

  get heldBytes(): number {
    return [...this.#streams.values()].reduce((sum, { stream }) => sum + stream.heldBytes, 0);
  }

  /** Tunnels a connection of this side's hypervisor; false if all channels are in use. */
  open(socket: LocalSocket): boolean {
    const channel = this.#free();
    if (channel === undefined || this.#isOver) return false;
    void this.#sending.send(channel, writeMessage({ kind: 'open' })).catch(() => undefined);
    this.#start(channel, Promise.resolve(socket));
    return true;
  }

  /** Breaks connections without an answer from the other host; returns their number. */
  breakSilent(nowMs: number, withinMs: number): number {
    let broken = 0;
    for (const { stream, timeout } of this.#streams.values()) {
      const { standing } = stream;
      if (standing === undefined || !timeout.isOver(standing, nowMs, withinMs)) continue;
      stream.break();
      broken += 1;
    }
    return broken;
  }

  /** Resolves once no connection is left; rejects after the deadline, or if the session ends. */
  async idle(deadlineMs: number): Promise<void> {
    await withDeadline('the end of the disks’ connections', deadlineMs, undefined, async () => {
      while (this.#streams.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    });
  }

  async send(channel: number, message: Uint8Array): Promise<void> {
    if (laneOf(channel) === 2) await this.#sending.send(channel, message);
    else await this.#deps.session.send(channel, message);
  }

  on(channel: number, take: (message: Uint8Array) => Promise<void>): void {
    this.#channels.on(channel, take);
  }

  /** An invalid message ends the session. */
  async #take(channel: number, message: Uint8Array): Promise<void> {
    const { connect, peer } = this.#deps;
    try {
      const known = this.#streams.get(channel);
      if (known !== undefined) return known.stream.receive(message);
      const { kind } = readMessage(message);
      if (kind !== 'open' || connect === undefined)
        throw new BadTunnelMessage(`${kind} of no connection`);
      await this.#turnToOpen();
      if (!this.#isOver) this.#start(channel, connect());
    } catch (error) {
      if (!(error instanceof BadTunnelMessage)) throw error;
      const facts = { peer, expected: 'a disk tunnel’s message', what: error.message };
      throw godwitError('GODWIT_PROTOCOL_INVALID', facts, { cause: error });
    }
  }

  /** Delays for up to a second if too many connections are being opened. */
  async #turnToOpen(): Promise<void> {
    const nowMs = performance.now();
    const [first = Number.NEGATIVE_INFINITY] = this.#openedMs;
    const isMany = this.#openedMs.length >= MAX_OPENED;
    const atMs = isMany ? Math.max(nowMs, first + OPENED_MS) : nowMs;
    this.#openedMs.push(atMs);
    if (isMany) this.#openedMs.shift();
    if (atMs > nowMs) await sleep(atMs - nowMs, undefined, { ref: false });
  }

  #start(channel: number, socket: Promise<LocalSocket>): void {
    const stream = new Stream({
      socket,
      pool: this.#pool,
      send: (message) => this.#sending.send(channel, message),
      count: ({ sent, received }) => {
        this.sentBytes += sent;
        this.receivedBytes += received;
      },
      over: () => this.#remove(channel),
    });
    this.#streams.set(channel, { stream, timeout: new AnswerTimeout() });
    void stream.run();
  }

  #free(): number | undefined {
    for (let channel = FIRST_STREAM; channel <= LAST_STREAM; channel += 1) {
      if (!this.#streams.has(channel)) return channel;
    }
    return undefined;
  }

  #remove(channel: number): void {
    this.#streams.delete(channel);
    if (this.#streams.size > 0) return;
    for (const go of this.#idle.splice(0)) go();
  }

  #end(): void {
    this.#isOver = true;
    for (const [channel, { stream }] of this.#streams) {
      stream.break();
      this.#remove(channel);
    }
  }
}
