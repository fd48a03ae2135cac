import type { TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';
import { godwitError, toGodwitError, type GodwitError } from '../errors.ts';
import type { Log } from '../log.ts';
import { whatIsWrong } from '../protocol/errors.ts';
import {
  hostOfRendezvous,
  MAX_CALLER_LINE,
  relayAsk,
  RELAY_VERSION,
  waiterLine,
  type RelayAsk,
  type RelayLine,
} from '../protocol/relay.ts';
import { callerOf, type Caller } from '../rpc/caller.ts';
import { ownRefusals } from '../rpc/refusals.ts';
import { LineReader } from '../rpc/relayed/lines.ts';
import {
  Pairing,
  type PairingEffect,
  type PairingEvent,
  type PairingLimits,
  type WhyNot,
} from './pairing.ts';
import { Splice, type SpliceLimits } from './splice.ts';
import { jsonOf } from '../formats/json.ts';

export interface StreamsOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: PairingLimits;
  readonly splice: SpliceLimits;
}

interface Stream {
  readonly id: number;
  readonly socket: TLSSocket;
  readonly who: string;
  readonly reader: LineReader;
  ask: RelayAsk | undefined;
}

interface JoinedStreams {
  readonly splice: Splice;
  readonly ends: readonly [TLSSocket, TLSSocket];
  bytes: number;
}

const PING_MS = 5000;
/** Time for the last message to a closed stream. */
const LAST_MS = 1000;

export class Streams {
  readonly #options: StreamsOptions;
  readonly #pairing: Pairing;
  readonly #streams = new Map<number, Stream>();
  readonly #joined = new Set<JoinedStreams>();
  readonly #all = new Set<TLSSocket>();
  #next = 1;
  #pingedMs = 0;

  constructor(options: StreamsOptions) {
    this.#options = options;
    this.#pairing = new Pairing(options.limits);
  }

  get size(): number {
    return this.#all.size;
  }

  get joined(): number {
    return this.#joined.size;
  }

  /** Accepts an authenticated connection; its first line states its purpose. */
  greet(socket: TLSSocket, caller: Caller, greetingMs: number): void {
    const id = this.#next++;
    const late = setTimeout(() => socket.destroy(), greetingMs);
    this.#all.add(socket);
    const reader = new LineReader(socket, MAX_CALLER_LINE, {
      line: (text) => {
        clearTimeout(late);
        this.#line(stream, text);
      },
      broken: (why) => this.#refuse(stream, invalid(stream, why)),
    });
    // Only an agent counts as a host: a controller of the same name can neither wait as the host nor use its share.
    const who = caller.role === 'agent' ? caller.name : `${caller.role} ${caller.name}`;
    const stream: Stream = { id, socket, who, reader, ask: undefined };
    this.#streams.set(id, stream);
    socket.once('end', () => this.#ended(stream));
    socket.once('close', () => {
      clearTimeout(late);
      this.#all.delete(socket);
      this.#streams.delete(id);
      this.#run({ type: 'gone', stream: id });
    });
  }

  time(): void {
    const nowMs = this.#nowMs();
    this.#run({ type: 'time' });
    for (const each of this.#joined) {
      const { bytes } = each.splice;
      each.splice.time(nowMs, bytes !== each.bytes);
      each.bytes = bytes;
      // A revoked right also ends joined streams.
      if (each.ends.some((end) => callerOf(end).role === 'none')) each.splice.destroy();
    }
    if (nowMs - this.#pingedMs < PING_MS) return;
    this.#pingedMs = nowMs;
    for (const stream of this.#streams.values()) {
      if (stream.ask?.does === 'wait') say(stream.socket, { type: 'ping' });
    }
  }

  #line(stream: Stream, text: string): void {
    const { ask, id } = stream;
    if (ask === undefined) {
      this.#greeted(stream, text);
      return;
    }
    const said = ask.does === 'wait' ? waiterLine.safeParse(text) : undefined;
    if (said?.success !== true) this.#refuse(stream, invalid(stream, 'not what it may say now'));
    else this.#run({ type: said.data, stream: id });
  }

  #greeted(stream: Stream, text: string): void {
    const { id, socket, who } = stream;
    const parsed = relayAsk.safeParse(jsonOf(text));
    if (!parsed.success) {
      this.#refuse(stream, invalid(stream, whatIsWrong(parsed.error)));
      return;
    }
    const { does, at } = parsed.data;
    stream.ask = parsed.data;
    if (does === 'look') {
      const waiting = this.#pairing.waitingOf(hostOfRendezvous(at));
      say(socket, { type: 'seen', waiting });
      this.#end(stream);
      return;
    }
    this.#run({ type: does, stream: id, who, at });
  }

  #ended(stream: Stream): void {
    if (this.#streams.has(stream.id)) stream.socket.destroy();
  }

  #run(event: PairingEvent): void {
    for (const effect of this.#pairing.on(event, this.#nowMs())) this.#do(effect);
  }

  #do(effect: PairingEffect): void {
    if (effect.do === 'join') {
      this.#join(effect.waiter, effect.caller);
      return;
    }
    const stream = this.#streams.get(effect.stream);
    if (stream === undefined) return;
    switch (effect.do) {
      case 'say-waits':
        say(stream.socket, { type: 'waits' });
        break;
      case 'offer':
        say(stream.socket, { type: 'offer', by: effect.by });
        break;
      case 'close':
        this.#refuse(stream, this.#whyNot(stream, effect.why));
        break;
    }
  }

  #join(waiterId: number, callerId: number): void {
    const [waiter, caller] = [this.#streams.get(waiterId), this.#streams.get(callerId)];
    if (waiter === undefined || caller === undefined) {
      for (const each of [waiter, caller]) each?.socket.destroy();
      return;
    }
    const areClean = [waiter, caller].map(({ reader }) => reader.release());
    for (const { id } of [waiter, caller]) this.#streams.delete(id);
    if (areClean.includes(false)) {
      for (const { socket } of [waiter, caller]) socket.destroy();
      return;
    }
    say(caller.socket, { type: 'joined' });
    const ends = [waiter.socket, caller.socket] as const;
    const splice = new Splice(...ends, this.#nowMs(), this.#options.splice);
    const joined: JoinedStreams = { splice, ends, bytes: 0 };
    this.#joined.add(joined);
    for (const end of ends) end.once('close', () => this.#joined.delete(joined));
    this.#options.log.debug(
      { waiter: waiter.who, caller: caller.who, at: caller.ask?.at },
      'joined',
    );
  }

  #refuse(stream: Stream, error: GodwitError): void {
    const { code, message } = error;
    const note = ownRefusals.note({ peer: stream.who, code, message });
    if (note !== undefined)
      this.#options.log.info({ by: stream.who, reason: message, ...note }, 'stream closed');
    say(stream.socket, { type: 'refused', error: error.toJSON() });
    this.#end(stream);
  }

  #end({ id, socket, reader }: Stream): void {
    reader.release();
    this.#streams.delete(id);
    this.#run({ type: 'gone', stream: id });
    socket.end();
    socket.resume();
    setTimeout(() => socket.destroy(), LAST_MS).unref();
  }

  #whyNot(stream: Stream, why: WhyNot): GodwitError {
    const { streamsEach, streamsAll, callingEach, waitingAt, callMs, waitMs } =
      this.#options.limits;
    const { who, ask } = stream;
    const at = ask?.at ?? '';
    const full = (what: string, limit: number): GodwitError =>
      godwitError('GODWIT_OVERLOADED', { what, limit });
    const away = (reason: string): GodwitError =>
      godwitError('GODWIT_UNREACHABLE', { peer: hostOfRendezvous(at), address: at, reason });
    switch (why) {
      case 'nobody-waits':
        return away(`nobody took the call at the relay within ${callMs} ms`);
      case 'no-answer':
        return away('its waiting stream was silent');
      case 'caller-gone':
        return away('the caller is gone');
      case 'waited-long':
        return away(`it waited for ${waitMs} ms`);
      case 'not-its-name':
        return toGodwitError(
          godwitError('GODWIT_PEER_UNTRUSTED', { peer: who, reason: `it may not wait as ${at}` }),
        );
      case 'too-many-streams':
        return full(`${who}, in streams at this relay,`, streamsEach);
      case 'too-many-calling':
        return full(`${who}, in calls that are not answered yet,`, callingEach);
      case 'too-many-waiting':
        return full(`${at}, in streams that wait,`, waitingAt);
      case 'relay-full':
        return full('the relay, in streams,', streamsAll);
    }
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}

function say(socket: TLSSocket, line: RelayLine): void {
  if (socket.writable) socket.write(`${JSON.stringify(line)}\n`);
}

function invalid({ who }: Stream, what: string): GodwitError {
  const expected = `a line of a relay’s caller, version ${RELAY_VERSION}`;
  return godwitError('GODWIT_PROTOCOL_INVALID', { peer: who, expected, what });
}
