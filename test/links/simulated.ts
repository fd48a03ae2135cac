import { LinkCore, TICK_MS } from '../../src/links/core.ts';
import { HEAD_BYTES, type Frame } from '../../src/links/format.ts';
import type { Position } from '../../src/links/greeting.ts';
import { Senders } from '../../src/links/carrier.ts';

/** Time and order without a clock: what is due first happens first. */
export class Time {
  nowMs = 0;
  #made = 0;
  readonly #heap: { atMs: number; order: number; act: () => void }[] = [];

  after(ms: number, act: () => void): void {
    this.at(this.nowMs + ms, act);
  }

  at(atMs: number, act: () => void): void {
    const heap = this.#heap;
    const entry = { atMs, order: this.#made, act };
    this.#made += 1;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!earlier(entry, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      heap[parent] = entry;
      at = parent;
    }
  }

  /** Lets everything happen up to then, or until `done`. */
  run(untilMs: number, done: () => boolean = () => false): void {
    for (let next = this.#heap[0]; next !== undefined && !done(); next = this.#heap[0]) {
      if (next.atMs > untilMs) break;
      this.#pop();
      this.nowMs = next.atMs;
      next.act();
    }
    if (!done()) this.nowMs = Math.max(this.nowMs, untilMs);
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && earlier(heap[child + 1]!, heap[child]!)) child += 1;
      if (!earlier(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

type Due = { readonly atMs: number; readonly order: number };
function earlier(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

export interface ReceivedMessage {
  readonly channel: number;
  readonly message: Uint8Array;
  readonly atMs: number;
}

/** One end of a session: the core, with a shell that has no sockets. */
export class End {
  readonly core: LinkCore;
  readonly senders: Senders;
  readonly taken: ReceivedMessage[] = [];
  /** How long a message takes to be taken. */
  takeMs: () => number = () => 0;
  error: Error | undefined;
  goodbyes = 0;
  readonly ways = new Map<number, Way>();
  readonly #time: Time;
  #turn = false;
  #refillAtMs = Number.POSITIVE_INFINITY;

  readonly holdsBytes: number;

  constructor(time: Time, options: { graceMs?: number; holdsBytes?: number } = {}) {
    const { graceMs = 60_000, holdsBytes = 64 * 1024 * 1024 } = options;
    this.#time = time;
    this.holdsBytes = holdsBytes;
    this.core = new LinkCore({ peer: 'far', graceMs, holdsBytes });
    this.senders = new Senders(this.core.outbox);
    const tick = (): void => {
      this.error ??= this.core.tick(time.nowMs);
      this.run();
      time.after(TICK_MS, tick);
    };
    time.after(TICK_MS, tick);
  }

  /** Resolves, to nobody, when there was room. */
  send(channel: number, message: Uint8Array): void {
    if (!this.senders.enters(channel, message)) void this.senders.wait(channel, message);
    this.run();
  }

  receive(way: number, frame: Frame): void {
    if (this.error !== undefined) return;
    try {
      this.core.receive(way, frame, this.#time.nowMs);
    } catch (error) {
      this.error = error as Error;
    }
    this.act();
    this.soon();
  }

  run(): void {
    this.senders.admit();
    const waitMs = this.core.pump(this.#time.nowMs);
    this.act();
    const atMs = this.#time.nowMs + (waitMs ?? Number.POSITIVE_INFINITY);
    if (waitMs === undefined || this.#refillAtMs <= atMs) return;
    this.#refillAtMs = atMs;
    this.#time.after(waitMs, () => {
      this.#refillAtMs = Number.POSITIVE_INFINITY;
      this.run();
    });
  }

  act(): void {
    for (const effect of this.core.effects()) {
      if (effect.type === 'write') this.ways.get(effect.link)?.carry(this, effect.frame);
      else if (effect.type === 'ready') this.#take(effect.channel);
      else if (effect.type === 'drop') this.ways.get(effect.link)?.break();
      else if (effect.type === 'soon') this.soon();
      else if (effect.type === 'goodbye') this.goodbyes += 1;
    }
  }

  soon(): void {
    if (this.#turn) return;
    this.#turn = true;
    this.#time.after(0, () => {
      this.#turn = false;
      const waitMs = this.core.acknowledge(this.#time.nowMs);
      if (waitMs !== undefined) this.#time.after(waitMs, () => this.soon());
      this.run();
    });
  }

  #take(channel: number): void {
    const message = this.core.inbox.start(channel);
    if (message === undefined) return;
    this.#time.after(this.takeMs(), () => {
      this.taken.push({ channel, message, atMs: this.#time.nowMs });
      this.core.inbox.took(channel);
      this.soon();
      this.#take(channel);
    });
  }
}

/** A link that connections may share: a rate and a queue for each direction. */
export class Path {
  readonly freeAtMs = [0, 0];
  bytesPerMs: number;
  delayMs: number;
  copies = true;
  /** It carries nothing, and nobody is notified. */
  black = false;

  constructor(bytesPerS: number, roundTripMs: number) {
    this.bytesPerMs = bytesPerS / 1000;
    this.delayMs = roundTripMs / 2;
  }
}

/** One connection between two ends. */
export class Way {
  readonly #time: Time;
  readonly #ends: readonly [End, End];
  readonly #path: Path;
  readonly #id: number;
  /** Nothing arrives before what was sent before it. */
  readonly #lastMs = [0, 0];
  readonly #stands = [false, false];
  #broken = false;
  /** Added to the delay of each frame. */
  jitterMs: () => number = () => 0;
  onBreak: () => void = () => {};

  /** The first end connects: the other joins when the hello arrives, the first when the welcome does. */
  constructor(time: Time, ends: readonly [End, End], path: Path, id: number) {
    this.#time = time;
    this.#ends = ends;
    this.#path = path;
    this.#id = id;
    const hello = ends[0].core.inbox.positions();
    time.after(path.delayMs, () => {
      if (path.black || this.#broken) return;
      const welcome = ends[1].core.inbox.positions();
      time.after(path.delayMs, () => this.#join(0, welcome));
      this.#join(1, hello);
    });
  }

  #join(side: 0 | 1, positions: readonly Position[]): void {
    if (this.#broken || this.#path.black) return;
    const end = this.#ends[side];
    this.#stands[side] = true;
    end.ways.set(this.#id, this);
    end.core.outbox.farHoldsBytes = this.#ends[1 - side]!.holdsBytes;
    end.core.join(this.#id, positions, this.#time.nowMs);
    end.run();
  }

  carry(from: End, frame: Frame): void {
    const side = from === this.#ends[0] ? 0 : 1;
    if (!this.#stands[side] || this.#path.black) return;
    const { freeAtMs, bytesPerMs, delayMs } = this.#path;
    const bytes = frame.payload.length + HEAD_BYTES;
    const goneMs = Math.max(freeAtMs[side]!, this.#time.nowMs) + bytes / bytesPerMs;
    freeAtMs[side] = goneMs;
    const atMs = Math.max(goneMs + delayMs + this.jitterMs(), this.#lastMs[side]!);
    this.#lastMs[side] = atMs;
    // As a socket does: what becomes of the bytes afterwards is nothing to it.
    const payload = this.#path.copies ? Uint8Array.from(frame.payload) : frame.payload;
    this.#time.at(atMs, () => {
      if (!this.#stands[1 - side] || this.#path.black) return;
      this.#ends[1 - side]!.receive(this.#id, { ...frame, payload });
    });
  }

  /** Both ends lose it, the second `laterMs` after the first; what is on the way to the first is lost. */
  break(first: 0 | 1 = 0, laterMs = 0): void {
    if (this.#broken) return;
    this.#broken = true;
    // What was on it takes no more of the path.
    for (const side of [0, 1]) {
      this.#path.freeAtMs[side] = Math.min(this.#path.freeAtMs[side]!, this.#time.nowMs + 10);
    }
    this.onBreak();
    this.#leave(first);
    this.#time.after(laterMs, () => this.#leave(first === 0 ? 1 : 0));
  }

  #leave(side: 0 | 1): void {
    if (!this.#stands[side]) return;
    this.#stands[side] = false;
    const end = this.#ends[side];
    end.ways.delete(this.#id);
    end.core.leave(this.#id, this.#time.nowMs);
    end.run();
  }
}

/** Both ends of a session with `ways` connections over one path. */
export function world(
  path: Path,
  ways = 1,
  options: { graceMs?: number; holdsBytes?: number } = {},
) {
  const time = new Time();
  const ends = [new End(time, options), new End(time, options)] as const;
  let made = 0;
  const connect = (over = path): Way => {
    made += 1;
    return new Way(time, ends, over, made);
  };
  const all = Array.from({ length: ways }, () => connect());
  time.run(path.delayMs * 2);
  return { time, source: ends[0], target: ends[1], ways: all, connect };
}
