import type { Clock } from '../clock.ts';
import type { Session } from './session.ts';
import type { Connection } from './connection.ts';
import { TICK_MS, type Effect, type LinkCore } from './core.ts';
import type { Frame } from './format.ts';
import type { Position } from './greeting.ts';
import { Fifo } from './fifo.ts';
import type { Outbox } from './outbox.ts';

export interface CarrierUser {
  readonly onMessage: Session['onMessage'] | undefined;
  /** Everything sent is taken, and no sender waits. Called often. */
  empty(): void;
  goodbye(): void;
  /** The peer ends the session for the reason in the payload. */
  aborted(payload: Uint8Array): void;
  /** The session cannot continue: no connection for too long, invalid frames, or a handler failed. */
  failed(error: unknown): void;
}

/** Executes the decisions of a session's core: writes to connections, passes messages on, runs the timers. */
export class Carrier {
  readonly core: LinkCore;
  readonly senders: Senders;
  readonly #clock: Clock;
  readonly #user: CarrierUser;
  readonly #connections = new Map<number, Connection>();
  readonly #ticker: NodeJS.Timeout;
  #made = 0;
  #over = false;
  #heldBack = false;
  #turn: NodeJS.Immediate | undefined;
  #reportTimer: NodeJS.Timeout | undefined;
  #refill: NodeJS.Timeout | undefined;

  constructor(core: LinkCore, clock: Clock, user: CarrierUser) {
    this.core = core;
    this.senders = new Senders(core.outbox);
    this.#clock = clock;
    this.#user = user;
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Adds a connection after the greeting. Resolves when it is gone. */
  join(connection: Connection, positions: readonly Position[]): Promise<void> {
    const id = this.#made;
    this.#made += 1;
    const gone = Promise.withResolvers<void>();
    if (this.#over) connection.destroy();
    else this.#connections.set(id, connection);
    connection.user = {
      frame: (frame) => this.#guard(() => this.core.receive(id, frame, this.#clock.monotonicMs())),
      paused: () => {
        this.#act();
        this.#soon();
      },
      closed: () => {
        this.#connections.delete(id);
        this.core.leave(id, this.#clock.monotonicMs());
        this.run();
        gone.resolve();
      },
    };
    this.#guard(() => this.core.join(id, positions, this.#clock.monotonicMs()));
    this.run();
    return gone.promise;
  }

  run(): void {
    if (this.#over) return;
    this.senders.admit();
    clearTimeout(this.#refill);
    const unreadBytes = this.#connections.values().reduce((sum, each) => sum + each.unreadBytes, 0);
    const waitMs = this.core.pump(this.#clock.monotonicMs(), unreadBytes);
    if (waitMs !== undefined) {
      this.#heldBack = true;
      this.#refill = setTimeout(() => this.run(), waitMs);
    }
    this.#act();
    if (this.core.outbox.isEmpty && this.senders.isEmpty) this.#user.empty();
  }

  wasHeldBack(): boolean {
    const heldBack = this.#heldBack;
    this.#heldBack = false;
    return heldBack;
  }

  sendToAll(frame: Frame): void {
    this.core.sendToAll(frame);
    this.#act();
  }

  deliverAll(): void {
    for (const channel of this.core.inbox.waiting()) this.#deliver(channel);
  }

  /** Releases everything at the session's end; written data is still sent. */
  end(why: Error): void {
    this.#over = true;
    clearInterval(this.#ticker);
    clearTimeout(this.#refill);
    clearTimeout(this.#reportTimer);
    clearImmediate(this.#turn);
    this.core.clear(this.#clock.monotonicMs());
    this.senders.fail(why);
    for (const connection of this.#connections.values()) connection.end();
  }

  #tick(): void {
    const lost = this.core.tick(this.#clock.monotonicMs());
    if (lost === undefined) this.run();
    else this.#user.failed(lost);
  }

  /** Acknowledges received frames once per event loop turn, or slightly later if they may wait. */
  #soon(): void {
    if (this.#over) return;
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.#acknowledge();
      this.run();
    });
  }

  #acknowledge(): void {
    const isFull = (link: number): boolean => this.#connections.get(link)?.isFull ?? false;
    const waitMs = this.core.acknowledge(this.#clock.monotonicMs(), isFull);
    if (waitMs === undefined) return;
    this.#reportTimer ??= setTimeout(() => {
      this.#reportTimer = undefined;
      this.#soon();
    }, waitMs);
  }

  #act(): void {
    for (const effect of this.core.effects()) this.#do(effect);
  }

  #do(effect: Effect): void {
    switch (effect.type) {
      case 'write':
        return this.#connections.get(effect.link)?.write(effect.frame);
      case 'drop':
        return this.#connections.get(effect.link)?.destroy(new Error('nothing comes from it'));
      case 'ready':
        return this.#deliver(effect.channel);
      case 'soon':
        return this.#soon();
      case 'goodbye':
        return this.#user.goodbye();
      case 'aborted':
        return this.#user.aborted(effect.payload);
    }
  }

  #deliver(channel: number): void {
    const take = this.#user.onMessage;
    if (take === undefined || this.#over) return;
    const message = this.core.inbox.start(channel);
    if (message === undefined) return;
    Promise.try(take, channel, message).then(
      () => {
        if (this.#over) return;
        this.core.inbox.took(channel);
        this.#soon();
        this.#deliver(channel);
      },
      (error: unknown) => this.#user.failed(error),
    );
  }

  #guard(work: () => void): void {
    if (this.#over) return;
    try {
      work();
    } catch (error) {
      this.#user.failed(error);
    }
  }
}

interface Sender {
  readonly message: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Senders waiting for room, in order per channel. */
export class Senders {
  readonly #outbox: Outbox;
  readonly #waiting = new Map<number, Fifo<Sender>>();

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  get isEmpty(): boolean {
    return [...this.#waiting.values()].every(({ length }) => length === 0);
  }

  enters(channel: number, message: Uint8Array): boolean {
    if ((this.#waiting.get(channel)?.length ?? 0) > 0) return false;
    if (!this.#outbox.hasRoom(channel)) return false;
    this.#outbox.add(channel, message);
    return true;
  }

  async wait(channel: number, message: Uint8Array): Promise<void> {
    const waiting = this.#waiting.get(channel) ?? new Fifo();
    this.#waiting.set(channel, waiting);
    await new Promise<void>((resolve, reject) => waiting.push({ message, resolve, reject }));
  }

  admit(): void {
    for (const [channel, waiting] of this.#waiting) {
      for (let first = waiting.peek(); first !== undefined; first = waiting.peek()) {
        if (!this.#outbox.hasRoom(channel)) break;
        waiting.shift();
        this.#outbox.add(channel, first.message);
        first.resolve();
      }
    }
  }

  fail(error: Error): void {
    for (const waiting of this.#waiting.values()) {
      for (const { reject } of waiting) reject(error);
    }
    this.#waiting.clear();
  }
}
