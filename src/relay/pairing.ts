import { hostOfRendezvous } from '../protocol/relay.ts';

export interface PairingLimits {
  /** Streams of one host in any state, and of all hosts. */
  readonly streamsEach: number;
  readonly streamsAll: number;
  /** Streams that wait at one rendezvous. */
  readonly waitingAt: number;
  /** Unjoined calling streams of one host. */
  readonly callingEach: number;
  /** Longest wait of a caller, ms. */
  readonly callMs: number;
  /** Longest delay of a waiter's answer to an offer, and longest silence, ms. */
  readonly offerMs: number;
  readonly silentMs: number;
  /** Longest wait of a stream; afterwards it connects again, ms. */
  readonly waitMs: number;
}

export const PAIRING_LIMITS: PairingLimits = {
  streamsEach: 512,
  streamsAll: 2048,
  waitingAt: 16,
  callingEach: 64,
  callMs: 5000,
  offerMs: 2000,
  silentMs: 15_000,
  waitMs: 3_600_000,
};

export type WhyNot =
  | 'nobody-waits'
  | 'not-its-name'
  | 'too-many-streams'
  | 'too-many-waiting'
  | 'too-many-calling'
  | 'relay-full'
  | 'no-answer'
  | 'waited-long'
  | 'caller-gone';

export type PairingEvent =
  | {
      readonly type: 'wait' | 'call';
      readonly stream: number;
      readonly who: string;
      readonly at: string;
    }
  | { readonly type: 'pong'; readonly stream: number }
  | { readonly type: 'ready'; readonly stream: number }
  | { readonly type: 'gone'; readonly stream: number }
  | { readonly type: 'time' };

export type PairingEffect =
  | { readonly do: 'say-waits'; readonly stream: number }
  | { readonly do: 'offer'; readonly stream: number; readonly by: string }
  | { readonly do: 'join'; readonly waiter: number; readonly caller: number }
  | { readonly do: 'close'; readonly stream: number; readonly why: WhyNot };

type Stream = { readonly id: number; readonly who: string; readonly at: string } & (
  | { state: 'waiting'; readonly sinceMs: number; heardMs: number }
  | { state: 'offered'; readonly caller: number; readonly untilMs: number }
  | { state: 'calling'; readonly untilMs: number; offeredTo: number | undefined }
  | { state: 'joined' }
);

/**
 * The relay's logic without sockets and clock: waiting, calling and joined streams. A caller is offered to the newest
 * waiter first, which most likely lives, then to the others.
 */
export class Pairing {
  readonly #limits: PairingLimits;
  readonly #streams = new Map<number, Stream>();
  /** Streams by rendezvous, in order of arrival. */
  readonly #waiting = new Map<string, Set<number>>();
  readonly #calling = new Map<string, Set<number>>();
  /** By rendezvous with callers: counter value of each host's last offer. */
  readonly #offered = new Map<string, Map<string, number>>();
  #offers = 0;
  readonly #held = new Map<string, Set<number>>();

  constructor(limits: PairingLimits = PAIRING_LIMITS) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#streams.size;
  }

  get joined(): number {
    return [...this.#streams.values()].filter(({ state }) => state === 'joined').length / 2;
  }

  /** Waiting streams of a host, on any port. */
  waitingOf(host: string): number {
    return [...(this.#held.get(host) ?? [])].filter(
      (id) => this.#streams.get(id)?.state === 'waiting',
    ).length;
  }

  on(event: PairingEvent, nowMs: number): PairingEffect[] {
    switch (event.type) {
      case 'wait':
        return this.#wait(event, nowMs);
      case 'call':
        return this.#call(event, nowMs);
      case 'pong': {
        const stream = this.#streams.get(event.stream);
        if (stream?.state === 'waiting') stream.heardMs = nowMs;
        return [];
      }
      case 'ready':
        return this.#ready(event.stream);
      case 'gone':
        return this.#gone(event.stream, nowMs);
      case 'time':
        return this.#time(nowMs);
    }
  }

  #wait({ stream: id, who, at }: { stream: number; who: string; at: string }, nowMs: number) {
    const why = hostOfRendezvous(at) === who ? this.#isFull(who) : ('not-its-name' as const);
    if (why !== undefined) return refusal(id, why);
    if ((this.#waiting.get(at)?.size ?? 0) >= this.#limits.waitingAt)
      return refusal(id, 'too-many-waiting');
    this.#put({ id, who, at, state: 'waiting', sinceMs: nowMs, heardMs: nowMs });
    add(this.#waiting, at, id);
    const effects: PairingEffect[] = [{ do: 'say-waits', stream: id }];
    const caller = this.#nextCaller(at);
    return caller === undefined ? effects : [...effects, ...this.#offer(caller, nowMs)];
  }

  #call({ stream: id, who, at }: { stream: number; who: string; at: string }, nowMs: number) {
    const why = this.#isFull(who);
    if (why !== undefined) return refusal(id, why);
    const calling = [...(this.#held.get(who) ?? [])].filter(
      (each) => this.#streams.get(each)?.state === 'calling',
    );
    if (calling.length >= this.#limits.callingEach) return refusal(id, 'too-many-calling');
    const untilMs = nowMs + this.#limits.callMs;
    const caller: Stream = { id, who, at, state: 'calling', untilMs, offeredTo: undefined };
    this.#put(caller);
    add(this.#calling, at, id);
    return this.#offer(caller, nowMs);
  }

  /** Offers the caller to the newest waiter; without one it keeps waiting. */
  #offer(caller: Stream & { state: 'calling' }, nowMs: number): PairingEffect[] {
    const newest = [...(this.#waiting.get(caller.at) ?? [])].at(-1);
    const waiter = newest === undefined ? undefined : this.#streams.get(newest);
    if (waiter === undefined) return [];
    remove(this.#waiting, caller.at, waiter.id);
    const { id, who, at } = waiter;
    const untilMs = nowMs + this.#limits.offerMs;
    this.#streams.set(id, { id, who, at, state: 'offered', caller: caller.id, untilMs });
    caller.offeredTo = id;
    const offered = this.#offered.get(at) ?? new Map<string, number>();
    this.#offered.set(at, offered.set(caller.who, this.#offers++));
    return [{ do: 'offer', stream: id, by: caller.who }];
  }

  #ready(id: number): PairingEffect[] {
    const waiter = this.#streams.get(id);
    if (waiter?.state !== 'offered') return this.#close(id, 'no-answer');
    const caller = this.#streams.get(waiter.caller);
    if (caller === undefined) return this.#close(id, 'caller-gone');
    this.#callsNoMore(caller.at, caller.id);
    for (const { id: stream, who, at } of [waiter, caller])
      this.#streams.set(stream, { id: stream, who, at, state: 'joined' });
    return [{ do: 'join', waiter: id, caller: caller.id }];
  }

  /** The end of a joined stream is handled outside. */
  #gone(id: number, nowMs: number): PairingEffect[] {
    const stream = this.#streams.get(id);
    if (stream === undefined) return [];
    this.#forget(stream);
    if (stream.state === 'offered') return this.#again(stream.caller, nowMs);
    // The waiter was promised to this caller and cannot take another.
    if (stream.state === 'calling' && stream.offeredTo !== undefined)
      return this.#close(stream.offeredTo, 'caller-gone');
    return [];
  }

  #again(caller: number, nowMs: number): PairingEffect[] {
    const stream = this.#streams.get(caller);
    if (stream?.state !== 'calling') return [];
    stream.offeredTo = undefined;
    return this.#offer(stream, nowMs);
  }

  #time(nowMs: number): PairingEffect[] {
    const { silentMs, waitMs } = this.#limits;
    const effects: PairingEffect[] = [];
    for (const id of this.#streams.keys()) {
      const stream = this.#streams.get(id);
      if (stream === undefined) continue;
      if (stream.state === 'waiting' && nowMs - stream.heardMs >= silentMs) {
        effects.push(...this.#close(id, 'no-answer'));
      } else if (stream.state === 'waiting' && nowMs - stream.sinceMs >= waitMs) {
        effects.push(...this.#close(id, 'waited-long'));
      } else if (stream.state === 'offered' && nowMs >= stream.untilMs) {
        effects.push(...this.#close(id, 'no-answer'), ...this.#again(stream.caller, nowMs));
      } else if (stream.state === 'calling' && nowMs >= stream.untilMs) {
        effects.push(...this.#close(id, 'nobody-waits'));
        if (stream.offeredTo !== undefined)
          effects.push(...this.#close(stream.offeredTo, 'caller-gone'));
      }
    }
    return effects;
  }

  /** Round robin over hosts, so that a host with many calls delays others by one call at most. */
  #nextCaller(at: string): (Stream & { state: 'calling' }) | undefined {
    const offered = this.#offered.get(at);
    let next: (Stream & { state: 'calling' }) | undefined;
    for (const id of this.#calling.get(at) ?? []) {
      const stream = this.#streams.get(id);
      if (stream?.state !== 'calling' || stream.offeredTo !== undefined) continue;
      const last = offered?.get(stream.who) ?? -1;
      if (next === undefined || last < (offered?.get(next.who) ?? -1)) next = stream;
    }
    return next;
  }

  /** Offer counters are needed only while a stream calls there. */
  #callsNoMore(at: string, id: number): void {
    remove(this.#calling, at, id);
    if (!this.#calling.has(at)) this.#offered.delete(at);
  }

  #isFull(who: string): WhyNot | undefined {
    if ((this.#held.get(who)?.size ?? 0) >= this.#limits.streamsEach) return 'too-many-streams';
    return this.#streams.size >= this.#limits.streamsAll ? 'relay-full' : undefined;
  }

  #close(id: number, why: WhyNot): PairingEffect[] {
    const stream = this.#streams.get(id);
    if (stream === undefined) return [];
    this.#forget(stream);
    return [{ do: 'close', stream: id, why }];
  }

  #put(stream: Stream): void {
    this.#streams.set(stream.id, stream);
    add(this.#held, stream.who, stream.id);
  }

  #forget({ id, who, at }: Stream): void {
    this.#streams.delete(id);
    remove(this.#held, who, id);
    remove(this.#waiting, at, id);
    this.#callsNoMore(at, id);
  }
}

function refusal(stream: number, why: WhyNot): PairingEffect[] {
  return [{ do: 'close', stream, why }];
}

function add(sets: Map<string, Set<number>>, key: string, id: number): void {
  const found = sets.get(key);
  if (found === undefined) sets.set(key, new Set([id]));
  else found.add(id);
}

function remove(sets: Map<string, Set<number>>, key: string, id: number): void {
  const found = sets.get(key);
  found?.delete(id);
  if (found?.size === 0) sets.delete(key);
}
