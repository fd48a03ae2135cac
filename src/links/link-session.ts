import { randomBytes } from 'node:crypto';
import { systemClock, type Clock } from '../clock.ts';
import { withDeadline } from '../deadline.ts';
import { godwitError, toGodwitError, GodwitError, type SerialError } from '../errors.ts';
import { laneOf, type LinkMeasure, type Session } from './session.ts';
import { Carrier } from './carrier.ts';
import type { Connection } from './connection.ts';
import { LinkCore, type Counters } from './core.ts';
import { BadLinkFrame, controlFrame, LINK_VERSION, MAX_MESSAGE_BYTES } from './format.ts';
import {
  writeJson,
  type LinkRefusal,
  type SessionName,
  type Welcome,
  readJson,
} from './greeting.ts';
import { serialError } from '../protocol/errors.ts';

export interface SessionOptions {
  readonly name: SessionName;
  /** Other host's name in its certificate. */
  readonly peer: string;
  /** Time without a connection after which the session is over, ms. */
  readonly graceMs: number;
  /** Total rate limit of the links, bytes/s. */
  readonly maxBytesPerS?: number | undefined;
  /** Limit of bulk bytes buffered for `onMessage`. */
  readonly holdsBytes?: number;
  readonly clock?: Clock;
}

/** Three times the amount for 1 Gbit/s over 150 ms. */
const HOLDS_BYTES = 64 * 1024 * 1024;

/** One end of a session over the available connections, which others create. */
export class LinkSession implements Session {
  readonly name: SessionName;
  readonly peer: string;
  readonly ended: Promise<void>;
  readonly #incarnation = randomBytes(16).toString('hex');
  readonly #holdsBytes: number;
  readonly #carrier: Carrier;
  readonly #clock: Clock;
  readonly #settle: { readonly resolve: () => void; readonly reject: (error: Error) => void };
  readonly #over = new AbortController();
  /** Settles when the session is closing and everything sent is taken. */
  readonly #empty = Promise.withResolvers<void>();
  #state: 'open' | 'closing' | 'goodbye' | 'over' = 'open';
  #onMessage: Session['onMessage'] | undefined;
  #farIncarnation: string | undefined;
  #isFarDone = false;
  #failure: Error | undefined;
  #capBytesPerS: number | undefined;
  #shareBytesPerS = Number.POSITIVE_INFINITY;

  constructor(options: SessionOptions) {
    const { name, peer, graceMs, holdsBytes = HOLDS_BYTES, clock = systemClock } = options;
    this.name = name;
    this.peer = peer;
    this.#holdsBytes = holdsBytes;
    this.#clock = clock;
    const core = new LinkCore({ peer, graceMs, holdsBytes });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#settle = { resolve, reject };
    // Senders and closers get the error too, so nothing has to await these.
    promise.catch(() => undefined);
    this.#empty.promise.catch(() => undefined);
    this.#carrier = this.#carry(core);
    this.#capBytesPerS = options.maxBytesPerS;
    this.#limit();
  }

  get over(): AbortSignal {
    return this.#over.signal;
  }

  get measure(): LinkMeasure {
    return this.#carrier.core.measure(this.#clock.monotonicMs());
  }

  get counters(): Readonly<Counters> {
    return this.#carrier.core.counters;
  }

  get unacknowledgedBytes(): number {
    return this.#carrier.core.outbox.outBytes;
  }

  get connections(): number {
    return this.#carrier.connections;
  }

  get onMessage(): Session['onMessage'] {
    return this.#onMessage ?? (() => Promise.reject(new Error('nobody takes messages yet')));
  }

  /** Messages wait until it is set. */
  set onMessage(take: Session['onMessage']) {
    this.#onMessage = take;
    this.#carrier.deliverAll();
  }

  /** Limit of unacknowledged bulk; `send` waits beyond it. */
  setWindow(bytes: number): void {
    this.#carrier.core.outbox.windowBytes = bytes;
    this.#carrier.run();
  }

  /** Session's rate limit; undefined: only the link and the host's budget. */
  setRate(bytesPerS: number | undefined): void {
    this.#capBytesPerS = bytesPerS;
    this.#limit();
  }

  setShare(bytesPerS: number): void {
    this.#shareBytesPerS = bytesPerS;
    this.#limit();
  }

  get capBytesPerS(): number | undefined {
    return this.#capBytesPerS;
  }

  /** Present limit; undefined: none. */
  get rateBytesPerS(): number | undefined {
    return this.#carrier.core.bucket.bytesPerS;
  }

  wasHeldBack(): boolean {
    return this.#carrier.wasHeldBack();
  }

  /** The message's bytes belong to the session from here on and are not copied. */
  async send(channel: number, message: Uint8Array): Promise<void> {
    laneOf(channel);
    if (message.length > MAX_MESSAGE_BYTES) {
      throw new RangeError(`a message of ${message.length} bytes; ${MAX_MESSAGE_BYTES} at most`);
    }
    if (this.#state !== 'open') throw this.#whyOver();
    const { senders } = this.#carrier;
    if (!senders.enters(channel, message)) return senders.wait(channel, message);
    this.#carrier.run();
  }

  async close(deadlineMs: number): Promise<void> {
    if (this.#state === 'over') return this.ended;
    if (this.#state === 'open') this.#state = 'closing';
    const what = `closing the session with ${this.peer}`;
    try {
      await withDeadline(what, deadlineMs, undefined, async () => {
        this.#carrier.run();
        await this.#empty.promise;
        this.#sayGoodbye();
        await this.ended;
      });
    } catch (error) {
      if (!this.#isIn('goodbye')) this.abort(error as Error);
      // Everything is taken; a missing goodbye of the other side does no harm.
      this.#sendAbort(error as Error);
      this.#end(undefined);
    }
    return this.ended;
  }

  abort(error: Error): void {
    if (this.#state === 'over') return;
    this.#sendAbort(error);
    this.#end(error);
  }

  greeting(): Welcome {
    return {
      version: LINK_VERSION,
      incarnation: this.#incarnation,
      holdsBytes: this.#holdsBytes,
      positions: this.#carrier.core.inbox.positions().map(([...each]) => each),
    };
  }

  /** True if the other end is the one that the session began with. */
  knows(incarnation: string): boolean {
    this.#farIncarnation ??= incarnation;
    return this.#farIncarnation === incarnation;
  }

  /** Adds a connection after the greeting. Resolves when it is gone. */
  join(connection: Connection, far: Welcome): Promise<void> {
    this.#carrier.core.outbox.farHoldsBytes = far.holdsBytes;
    const gone = this.#carrier.join(connection, far.positions);
    if (this.#state === 'goodbye') connection.write(controlFrame('goodbye'));
    return gone;
  }

  /** The other side accepts no more connections for this session. */
  refused(refusal: LinkRefusal): void {
    const isDone = refusal.why === 'closed' && this.#state === 'goodbye';
    this.#end(isDone ? undefined : refusedBy(this.peer, refusal));
  }

  #limit(): void {
    const cap = this.#capBytesPerS ?? Number.POSITIVE_INFINITY;
    const bytesPerS = Math.min(cap, this.#shareBytesPerS);
    const rate = Number.isFinite(bytesPerS) ? bytesPerS : undefined;
    this.#carrier.core.setRate(rate, this.#clock.monotonicMs());
    this.#carrier.run();
  }

  #carry(core: LinkCore): Carrier {
    const current = (): Session['onMessage'] | undefined => this.#onMessage;
    return new Carrier(core, this.#clock, {
      get onMessage() {
        return current();
      },
      empty: () => this.#emptied(),
      goodbye: () => this.#goodbye(),
      aborted: (payload) => this.#end(abortedBy(this.peer, payload)),
      failed: (error) => this.#failed(error),
    });
  }

  #failed(error: unknown): void {
    if (!(error instanceof BadLinkFrame)) return this.abort(error as Error);
    const facts = { peer: this.peer, expected: 'a session’s frame', what: error.message };
    this.abort(godwitError('GODWIT_PROTOCOL_INVALID', facts, { cause: error }));
  }

  #sendAbort(error: Error): void {
    const payload = writeJson(toGodwitError(error).toJSON());
    this.#carrier.sendToAll(controlFrame('abort', 0, payload));
  }

  #sayGoodbye(): void {
    if (this.#state === 'over') return;
    this.#state = 'goodbye';
    this.#carrier.sendToAll(controlFrame('goodbye'));
  }

  /** The other side will send nothing more, but still takes sent data. */
  #goodbye(): void {
    if (this.#state === 'goodbye') return this.#end(undefined);
    if (this.#state === 'over') return;
    this.#state = 'closing';
    this.#isFarDone = true;
    this.#carrier.run();
  }

  #emptied(): void {
    if (this.#state !== 'closing') return;
    this.#empty.resolve();
    if (!this.#isFarDone) return;
    this.#sayGoodbye();
    this.#end(undefined);
  }

  #whyOver(): Error {
    const closed = { peer: this.peer, reason: 'it was closed' };
    return this.#failure ?? godwitError('GODWIT_SESSION_ENDED', closed);
  }

  #isIn(state: string): boolean {
    return this.#state === state;
  }

  #end(error: Error | undefined): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#failure = error;
    if (error === undefined) this.#settle.resolve();
    else this.#settle.reject(error);
    this.#over.abort();
    this.#empty.reject(this.#whyOver());
    this.#carrier.end(this.#whyOver());
  }
}

const REFUSALS: Readonly<Record<LinkRefusal['why'], string>> = {
  closed: 'it closed the session',
  over: 'the session is over there',
  unknown: 'it knows no such session with this host',
  full: 'it takes no more connections',
  version: 'it speaks another version of the links',
};

function refusedBy(peer: string, { why, error }: LinkRefusal): GodwitError {
  if (error !== undefined) return named(peer, error);
  return godwitError('GODWIT_SESSION_ENDED', { peer, reason: REFUSALS[why] });
}

function abortedBy(peer: string, payload: Uint8Array): GodwitError {
  try {
    return named(peer, readJson(serialError, payload, 'abort'));
  } catch (error) {
    return named(peer, toGodwitError(error).toJSON());
  }
}

function named(peer: string, serial: SerialError): GodwitError {
  const cause = new GodwitError(serial);
  return godwitError('GODWIT_SESSION_ENDED', { peer, reason: cause.message }, { cause });
}
