import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { silentLog } from '../../src/log.ts';
import type { Role } from '../../src/protocol/route.ts';
import type { Credentials } from '../../src/rpc/tls.ts';
import type { LinkSession, SessionOptions } from '../../src/links/link-session.ts';
import { openSession, type OpenOptions } from '../../src/links/open.ts';
import { SessionServer } from '../../src/links/server.ts';
import { authority } from '../rpc/test-contract.ts';

export interface Parties {
  readonly issue: (name: string, role: Role) => Promise<Credentials>;
  readonly a: Credentials;
  readonly server: SessionServer;
  readonly proxy: Proxy;
}

/** Hosts a and b with certificates, b listening, and a proxy before it that can cut and freeze. */
export async function parties(t: TestContext): Promise<Parties> {
  const ca = await authority(t);
  const [a, b] = await Promise.all([ca.issue('a', 'agent'), ca.issue('b', 'agent')]);
  const server = await SessionServer.listen({
    hosts: ['127.0.0.1'],
    ports: { from: 0, to: 0 },
    credentials: b,
    log: silentLog,
  });
  t.after(() => server.close());
  const proxy = await Proxy.before(t, server.port);
  return { a, server, proxy, issue: ca.issue };
}

export function nameOf(): SessionOptions['name'] {
  return { session: randomBytes(16).toString('hex'), migration: 'm-12345678', epoch: 1 };
}

/** Both ends of a session from a to b through the proxy. */
export async function joined(
  t: TestContext,
  { a, server, proxy }: Parties,
  given: Partial<OpenOptions> = {},
): Promise<{ source: LinkSession; target: LinkSession }> {
  const options = { name: nameOf(), graceMs: 60_000, ...given };
  const [target, source] = await Promise.all([
    server.accept({ ...options, peer: 'a' }, 10_000),
    openSession({
      credentials: a,
      addresses: [proxy.address],
      connections: 1,
      ...options,
      peer: 'b',
    }),
  ]);
  t.after(() => {
    source.abort(new Error('the test is over'));
    target.abort(new Error('the test is over'));
  });
  return { source, target };
}

/** Keeps what arrives, by channel; resolves waits by condition. */
export class Arrivals {
  readonly messages = new Map<number, string[]>();
  #watchers: (() => void)[] = [];

  constructor(session: LinkSession, take: () => Promise<void> = () => Promise.resolve()) {
    session.onMessage = async (channel, message) => {
      await take();
      this.of(channel).push(Buffer.from(message).toString('latin1'));
      for (const watcher of this.#watchers) watcher();
    };
  }

  of(channel: number): string[] {
    const got = this.messages.get(channel) ?? [];
    this.messages.set(channel, got);
    return got;
  }

  async until(condition: () => boolean): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve) => {
      this.#watchers.push(() => condition() && resolve());
    });
  }
}

/** A TCP proxy on loopback. */
export class Proxy {
  readonly address: string;
  readonly #pairs = new Set<readonly [net.Socket, net.Socket]>();
  readonly #target: number;
  readonly #frozen = new Set<readonly [net.Socket, net.Socket]>();
  #refusing = false;
  accepted = 0;

  private constructor(server: net.Server, target: number) {
    this.#target = target;
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('connection', (socket) => this.#pair(socket));
  }

  static async before(t: TestContext, target: number): Promise<Proxy> {
    const server = net.createServer({ pauseOnConnect: true });
    const listening = once(server, 'listening');
    server.listen({ host: '127.0.0.1', port: 0 });
    await listening;
    const proxy = new Proxy(server, target);
    t.after(() => {
      proxy.cut();
      server.close();
    });
    return proxy;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Resets what stands; `index` picks one. */
  cut(index?: number): void {
    for (const [at, pair] of [...this.#pairs].entries()) {
      if (index !== undefined && at !== index) continue;
      // A socket that is ending is never reset: Node would wait for it for ever at the process's end.
      for (const socket of pair) {
        if (socket.writableEnded) socket.destroy();
        else socket.resetAndDestroy();
      }
    }
  }

  /** Nothing goes through what stands now, and nobody is notified. */
  freeze(): void {
    for (const pair of this.#pairs) {
      this.#frozen.add(pair);
      for (const socket of pair) socket.pause();
    }
  }

  set refusing(refusing: boolean) {
    this.#refusing = refusing;
  }

  #pair(near: net.Socket): void {
    this.accepted += 1;
    if (this.#refusing) return void near.resetAndDestroy();
    const far = net.connect({ host: '127.0.0.1', port: this.#target });
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.setNoDelay(true);
      from.on('error', () => undefined);
      from.on('data', (chunk: Buffer) => {
        if (!to.write(chunk)) from.pause();
      });
      to.on('drain', () => void (this.#frozen.has(pair) || from.resume()));
      from.on('end', () => to.end());
      from.on('close', () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
      from.resume();
    }
  }
}
