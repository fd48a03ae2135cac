import { withDeadline } from '../src/deadline.ts';
import { godwitError } from '../src/errors.ts';
import type { Contract, Route } from '../src/protocol/route.ts';
import type { Connect, Listen } from '../src/mover/shared/surroundings.ts';
import type { Caller } from '../src/rpc/caller.ts';
import type { Reach } from '../src/rpc/reach.ts';
import type { CallOptions } from '../src/rpc/client.ts';
import type { Listening } from '../src/rpc/listen.ts';
import type { Handlers } from '../src/rpc/server.ts';
import {
  answer,
  hostOf,
  parse,
  type Exchange,
  type Handler,
  type Input,
  type Server,
} from './exchange.ts';
import { never, type SimProcess } from './process.ts';
import type { Random } from './random.ts';
import type { HostName } from './scenario.ts';
import type { Scheduler } from './scheduler.ts';

/** A connection that is silent for so long may be forgotten by something on the way, ms. */
const FORGOTTEN_MS = 10_000;

/** A call's default deadline, as the real client's, ms. */
const CALL_MS = 10_000;

/** One direction: until when nothing passes, and what then becomes of what was sent meanwhile. */
interface Way {
  holeUntil: number;
}

/** Calls between hosts: late, lost, doubled, answered to nobody, or refused, as the link is. */
export class Network {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #servers = new Map<string, Server>();
  /** Of the link between a and b. */
  readonly #ways: Record<'a' | 'b', Way> = { a: { holeUntil: 0 }, b: { holeUntil: 0 } };
  readonly #isolatedUntil: Record<HostName, number> = { a: 0, b: 0, c: 0 };
  readonly #underWay = new Set<Exchange>();
  readonly hostUp: Record<HostName, boolean> = { a: true, b: true, c: true };
  #cutUntil = 0;
  badUntil = 0;
  #nextPort = 50_000;
  /** What passes, for the story. */
  report: (text: string) => void = () => {};

  constructor(scheduler: Scheduler, random: Random) {
    this.#scheduler = scheduler;
    this.#random = random;
  }

  /** Connections between a and b break, and none can be made for so long. */
  cut(forMs: number): void {
    this.#cutUntil = Math.max(this.#cutUntil, this.#scheduler.now + forMs);
    for (const exchange of this.#underWay) {
      if (this.#isCut(exchange.client.host, hostOf(exchange.address)))
        this.#fail(exchange, 'it closed the connection');
    }
  }

  /** Nothing comes to that host or from it for so long. */
  isolate(host: HostName, forMs: number): void {
    this.#isolatedUntil[host] = Math.max(this.#isolatedUntil[host], this.#scheduler.now + forMs);
  }

  /** What goes towards that host vanishes for so long; TCP sends some of it again. */
  blackHole(to: 'a' | 'b', forMs: number): void {
    const way = this.#ways[to];
    way.holeUntil = Math.max(way.holeUntil, this.#scheduler.now + forMs);
  }

  isIsolated(host: HostName): boolean {
    return this.#isolatedUntil[host] > this.#scheduler.now;
  }

  get cutNow(): boolean {
    return this.#cutUntil > this.#scheduler.now;
  }

  /** Until when nothing comes through in one direction or both; 0 where all does. */
  get stalledUntil(): number {
    return Math.max(this.#silentUntil('a', 'b'), this.#silentUntil('b', 'a'));
  }

  /** Until when nothing comes through in that direction. */
  #silentUntil(from: HostName, to: HostName): number {
    const { [from]: one, [to]: other } = this.#isolatedUntil;
    const hole = from !== 'c' && to !== 'c' ? this.#ways[to].holeUntil : 0;
    return Math.max(one, other, hole);
  }

  #isCut(one: HostName, other: HostName): boolean {
    return this.cutNow && one !== 'c' && other !== 'c';
  }

  #isBad(one: HostName, other: HostName): boolean {
    return this.badUntil > this.#scheduler.now && one !== 'c' && other !== 'c';
  }

  /** As a mover asks whether the way to an address is open: of the other host's kernel alone. */
  reacher(process: SimProcess): Reach {
    return async (address, timeoutMs, signal) => {
      signal.throwIfAborted();
      const to = hostOf(address);
      const from = process.host;
      const silent = Math.max(this.#silentUntil(from, to), this.#silentUntil(to, from));
      const open = !this.#isCut(from, to) && this.hostUp[to] && silent <= this.#scheduler.now;
      const ms = open ? this.#random.between(0.2, 2) : timeoutMs;
      const { promise, resolve, reject } = Promise.withResolvers<boolean>();
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      this.#scheduler.after(ms, process, () => resolve(open));
      return promise;
    };
  }

  listener(process: SimProcess, prefix: string): Listen {
    return (contract, handlers, authorise) =>
      Promise.resolve(
        this.listen(process, `${prefix}:${this.#nextPort++}`, contract, handlers, authorise),
      );
  }

  listen<C extends Contract>(
    process: SimProcess,
    address: string,
    contract: C,
    handlers: Partial<Handlers<C>>,
    authorise: (caller: Caller) => void = () => {},
  ): Listening {
    const server: Server = {
      process,
      contract,
      handlers: handlers as unknown as Record<string, Handler>,
      authorise,
      closing: false,
      open: new Set(),
    };
    if (process.dead) return { address, close: () => never() };
    this.#servers.set(address, server);
    process.atDeath(() => this.#gone(address, server));
    return { address, close: (graceMs = 0) => this.#close(server, graceMs) };
  }

  #gone(address: string, server: Server): void {
    if (this.#servers.get(address) === server) this.#servers.delete(address);
    // A host without power says nothing; a dead process's kernel does.
    if (!this.hostUp[server.process.host]) return;
    for (const exchange of server.open) {
      this.#back(exchange, () => this.#fail(exchange, 'it closed the connection'));
    }
  }

  /** As node:http closes: no new connections, requests under way may end until the grace is over. */
  async #close(server: Server, graceMs: number): Promise<void> {
    server.closing = true;
    const until = this.#scheduler.now + graceMs;
    while (server.open.size > 0 && this.#scheduler.now < until) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (const exchange of server.open) {
      this.#back(exchange, () => this.#fail(exchange, 'it closed the connection'));
    }
  }

  /** As that process calls others. */
  connector(process: SimProcess): Connect {
    const connect = (contract: Contract, name: string, address: string): object => {
      const mine = new Set<Exchange>();
      const call = (key: string, route: Route, input: Input, options: CallOptions) =>
        this.#call(process, { name, address, key, route, mine }, input, options);
      const api = Object.fromEntries(
        Object.entries(contract).map(([key, route]) => [
          key,
          (input: Input = {}, options: CallOptions = {}) => call(key, route, input, options),
        ]),
      );
      return {
        api,
        warm: async (_count: number, options: CallOptions = {}) => {
          const hello = contract['hello'];
          if (hello !== undefined) await call('hello', hello, {}, options);
        },
        close: () => {
          for (const exchange of mine) this.#fail(exchange, 'it closed the connection');
        },
      };
    };
    return connect as Connect;
  }

  async #call(
    client: SimProcess,
    to: { name: string; address: string; key: string; route: Route; mine: Set<Exchange> },
    input: Input,
    options: CallOptions,
  ): Promise<unknown> {
    const { name, address, key, route, mine } = to;
    const what = `${key} of ${name}`;
    client.pass('before', `call ${key}`);
    if (client.dead) return never();
    const text = await withDeadline(
      what,
      options.deadlineMs ?? CALL_MS,
      options.signal,
      (signal) =>
        new Promise<string>((resolve, reject) => {
          const gone = new AbortController();
          const exchange: Exchange = {
            client,
            name,
            address,
            key,
            text: JSON.stringify(input),
            gone,
            answered: false,
            settle: (result) => {
              mine.delete(exchange);
              if ('text' in result) resolve(result.text);
              else reject(result.error);
            },
          };
          mine.add(exchange);
          signal.addEventListener('abort', () => this.#abandon(exchange, mine), { once: true });
          this.#send(exchange);
        }),
    );
    client.pass('after', `call ${key}`);
    if (client.dead) return never();
    return parse(route, text, name);
  }

  /** The client waits no longer: the server hears of it, if anything passes. */
  #abandon(exchange: Exchange, mine: Set<Exchange>): void {
    mine.delete(exchange);
    this.#underWay.delete(exchange);
    const server = this.#servers.get(exchange.address);
    this.#over(exchange.client.host, hostOf(exchange.address), () => {
      server?.open.delete(exchange);
      if (server === undefined || exchange.gone.signal.aborted) return;
      this.#scheduler.after(0, server.process, () => exchange.gone.abort());
    });
  }

  #send(exchange: Exchange): void {
    this.#underWay.add(exchange);
    const to = hostOf(exchange.address);
    const from = exchange.client.host;
    if (this.#isCut(from, to)) {
      const ms = this.#random.between(0.1, 3);
      this.#scheduler.after(ms, undefined, () =>
        this.#fail(exchange, 'there is no route to that host'),
      );
      return;
    }
    this.#over(from, to, () => this.#arrive(exchange));
    this.#mayBreak(exchange);
    // Sent anew over another connection while the first lay somewhere: as a client that tries again does.
    if (this.#isBad(from, to) && this.#random.chance(0.2)) {
      this.#scheduler.after(this.#random.between(0, 5000), undefined, () =>
        this.#over(from, to, () => this.#arrive(exchange)),
      );
    }
  }

  /** On a bad link a connection may break at any time: before the call has arrived, or with its answer on the way. */
  #mayBreak(exchange: Exchange): void {
    const isBad = this.#isBad(exchange.client.host, hostOf(exchange.address));
    if (!isBad || !this.#random.chance(0.25)) return;
    this.#scheduler.after(this.#random.between(0, 4000), undefined, () => {
      this.#fail(exchange, 'it closed the connection');
    });
  }

  /** Takes something from one host to another, if it gets there. */
  #over(from: HostName, to: HostName, arrive: () => void): void {
    const holeMs = this.#silentUntil(from, to) - this.#scheduler.now;
    let ms = this.#random.between(0.1, 1.5);
    if (holeMs > 0) {
      // TCP asks ever more seldom, so it may take as long again; what has lain for too long is forgotten on the way.
      if (holeMs > FORGOTTEN_MS && this.#random.chance(0.4)) return;
      ms += holeMs + this.#random.between(0, holeMs);
    }
    if (this.#isBad(from, to)) {
      if (this.#random.chance(0.4)) ms += this.#random.between(0, 3000);
    }
    this.#scheduler.after(ms, undefined, arrive);
  }

  /** The way from a server's host to its client's. */
  #back({ address, client }: Exchange, arrive: () => void): void {
    this.#over(hostOf(address), client.host, arrive);
  }

  #arrive(exchange: Exchange): void {
    const host = hostOf(exchange.address);
    if (!this.hostUp[host] || this.#isCut(exchange.client.host, host)) return;
    if (exchange.answered && this.#random.chance(0.5)) return;
    const server = this.#servers.get(exchange.address);
    if (server === undefined || server.closing) {
      this.#back(exchange, () =>
        this.#fail(exchange, 'nothing listens there (connection refused)'),
      );
      return;
    }
    if (!exchange.answered) server.open.add(exchange);
    this.#scheduler.after(0, server.process, () => void this.#serve(server, exchange));
  }

  async #serve(server: Server, exchange: Exchange): Promise<void> {
    this.report(`${server.process.name} is asked: ${exchange.key}`);
    const result = await answer(server, exchange);
    if (server.process.dead) return;
    server.process.pass('before', `answer ${exchange.key}`);
    if (server.process.dead) return;
    server.open.delete(exchange);
    this.#back(exchange, () => {
      if (exchange.answered || this.#isCut(server.process.host, exchange.client.host)) return;
      exchange.answered = true;
      this.#underWay.delete(exchange);
      this.#scheduler.after(0, exchange.client, () => exchange.settle(result));
    });
  }

  #fail(exchange: Exchange, reason: string): void {
    if (exchange.answered) return;
    exchange.answered = true;
    this.#underWay.delete(exchange);
    const { name, address } = exchange;
    const error = godwitError('GODWIT_UNREACHABLE', { peer: name, address, reason });
    this.#scheduler.after(0, exchange.client, () => exchange.settle({ error }));
  }
}
