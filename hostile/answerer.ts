import { createServer } from 'node:https';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { chanceOf } from '../faults/chance.ts';
import { Random } from '../sim/random.ts';
import { agentContract } from '../src/protocol/contract.ts';
import type { Route } from '../src/protocol/route.ts';
import { router } from '../src/rpc/routes.ts';
import { serverTls, type Credentials } from '../src/rpc/tls.ts';
import { splitAddress } from '../src/protocol/names.ts';
import type { Facts } from './facts.ts';
import { spoiled } from './generate/spoil.ts';
import { validOf } from './generate/values.ts';
import { wordsOf } from './generate/known-names.ts';

/**
 * What the attacked host hears when it asks in its turn: in the place of this host’s agent, answers that have the shape of
 * the contract and are not true, that lack it, that are no JSON, too long, or never come.
 */

const MIB = 1024 ** 2;

export class Answerer {
  /** Questions that were answered. */
  count = 0;
  readonly #facts: Facts;
  readonly #seed: number;
  readonly #server: Server;
  readonly #find = router(agentContract);

  private constructor(facts: Facts, seed: number, credentials: Credentials) {
    this.#facts = facts;
    this.#seed = seed;
    this.#server = createServer(serverTls(credentials), (request, response) => {
      this.#answer(request, response);
    });
    this.#server.on('tlsClientError', () => {});
  }

  static async open(facts: Facts, seed: number, credentials: Credentials): Promise<Answerer> {
    const made = new Answerer(facts, seed, credentials);
    const { host, port } = splitAddress(facts.selfAddress);
    await new Promise<void>((resolve, reject) => {
      made.#server.once('error', reject);
      made.#server.listen({ host, port }, () => resolve());
    });
    return made;
  }

  /** host:port. */
  get address(): string {
    const bound = this.#server.address();
    if (bound === null || typeof bound === 'string') throw new Error('it does not listen');
    return `${bound.address}:${bound.port}`;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    request.on('error', () => {}).resume();
    response.on('error', () => {});
    this.count += 1;
    const random = new Random(chanceOf(this.#seed, `answer ${this.count}`) * 2 ** 32);
    const way = random.next();
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const match = this.#find(request.method ?? '', path);
    if (match?.route.stream === true && way > 0.2) {
      this.#report(match.route, response, random);
      return;
    }
    // It is left to wait now and then: each such answer costs the requester its deadline.
    if (way < 0.02) return;
    if (way < 0.06) return void response.destroy();
    const [status, text] = this.#said(match?.route, way, random);
    const type = random.chance(0.95) ? 'application/json' : 'text/html';
    response.writeHead(status, { 'content-type': type }).end(text);
  }

  /** Events without end, true and untrue, as fast as they are read. */
  #report(route: Route, response: ServerResponse, random: Random): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const more = (): void => {
      while (!response.destroyed) {
        this.count += 1;
        if (random.next() < 0.0005) return void response.end();
        if (!response.write(`data: ${this.#event(route, random)}\n\n`)) {
          response.once('drain', more);
          return;
        }
      }
    };
    response.write(`data: ${JSON.stringify({ id: '1', type: 'ready' })}\n\n`);
    more();
  }

  #event(route: Route, random: Random): string {
    const words = wordsOf(this.#facts, { id: 'm-hx000001', guest: 'hx000001' });
    const value = validOf(route.response, { random, words }, `an event of ${route.path}`);
    // What makes no event ends the stream: mostly they are events.
    return JSON.stringify(random.chance(0.999) ? value : spoiled(value, random, this.#facts)) ?? '';
  }

  #said(route: Route | undefined, way: number, random: Random): [status: number, text: string] {
    if (route === undefined || way < 0.12) return [random.pick([200, 404, 500, 302]), 'no JSON {'];
    if (way < 0.15) return [200, `"${'x'.repeat(40 * MIB)}"`];
    if (way < 0.2) return [409, JSON.stringify({ error: { code: 'GODWIT_NO_SUCH', message: 7 } })];
    const own = { id: 'm-hx000001', guest: 'hx000001' };
    const words = wordsOf(this.#facts, own);
    const value = validOf(route.response, { random, words }, `the answer of ${route.path}`);
    return [200, JSON.stringify(way < 0.6 ? value : spoiled(value, random, this.#facts)) ?? ''];
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
