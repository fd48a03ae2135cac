import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { hasCode } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import { openSession } from '../../src/links/open.ts';
import type { LinkSession } from '../../src/links/link-session.ts';
import { SessionServer } from '../../src/links/server.ts';
import { RELAY_ALPN } from '../../src/protocol/relay.ts';
import { connectTls } from '../../src/rpc/relayed/call.ts';
import type { Credentials, RelayPlace } from '../../src/rpc/tls.ts';
import { Arrivals, nameOf } from '../links/session-pair.ts';
import { authority, calling, serving } from '../rpc/test-contract.ts';
import { aroundRelay, echoing, type AroundRelay } from './test-relay.ts';

/** A relay is a stranger: what follows is about one that is somebody else's, lies, or dies. */

const within = AbortSignal.timeout(60_000);

/** Whatever somebody may run in a relay's place. */
async function falseRelay(
  t: TestContext,
  { ca, cert, key }: Credentials,
  serve: (socket: TLSSocket) => void,
): Promise<string> {
  const options = { ca, cert, key, requestCert: true, rejectUnauthorized: false } as const;
  const server = tls.createServer({ ...options, ALPNProtocols: [RELAY_ALPN] }, (socket) => {
    socket.on('error', () => undefined);
    t.after(() => socket.destroy());
    serve(socket);
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  const listening = once(server, 'listening');
  server.listen(0, '127.0.0.1');
  await listening;
  t.after(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const by = (credentials: Credentials, address: string): Credentials => ({
  ...credentials,
  relayed: { self: 'a', relays: [{ name: 'r', address }] },
});

test('a foreign relay receives nothing, not even the name of the called host', async (t) => {
  const { issue } = await authority(t);
  const theirs = await authority(t);
  const reported: unknown[] = [];
  for (const own of [
    await theirs.issue('r', 'relay'),
    await issue('b', 'agent'),
    await issue('q', 'relay'),
  ]) {
    const address = await falseRelay(t, own, (socket) =>
      socket.on('data', (data) => reported.push(data)),
    );
    const a = by(await issue('a', 'agent'), address);
    await assert.rejects(connectTls('b.relay:7443', a, {}, within), (error) => {
      assert.ok(hasCode(error, 'GODWIT_UNREACHABLE'));
      assert.match((error as Error).message, /by the relay r at/);
      return true;
    });
  }
  assert.deepEqual(reported, []);
});

for (const [what, words] of [
  ['what is no line', 'nonsense\n'],
  ['a line that never ends', 'x'.repeat(100_000)],
  ['bytes of its own before the other end’s', '{"type":"joined"}\nGET / HTTP/1.1\r\n\r\n'],
] as const) {
  test(`a relay that sends ${what} counts as a missing path`, async (t) => {
    const { issue } = await authority(t);
    const address = await falseRelay(t, await issue('r', 'relay'), (socket) => {
      socket.once('data', () => socket.end(words));
    });
    const a = by(await issue('a', 'agent'), address);
    await assert.rejects(connectTls('b.relay:7443', a, {}, within), (error) =>
      hasCode(error, 'GODWIT_UNREACHABLE'),
    );
  });
}

test('a relay that leads to another host, or to itself, is detected before a byte is sent', async (t) => {
  const { issue } = await authority(t);
  const own = await issue('r', 'relay');
  for (const whose of [await issue('c', 'agent'), own]) {
    const { server } = await echoing(t, whose);
    const address = await falseRelay(t, own, (socket) => {
      socket.once('data', () => {
        socket.write('{"type":"joined"}\n');
        server.emit('connection', socket);
      });
    });
    const a = by(await issue('a', 'agent'), address);
    const { api } = calling(t, 'b.relay:7443', a);
    await assert.rejects(api.say({ params: { name: 'x' }, body: { text: 'secret' } }), (error) => {
      assert.ok(hasCode(error, 'GODWIT_UNREACHABLE'));
      assert.match((error as Error).message, /the relay led elsewhere/);
      return true;
    });
  }
});

async function session(
  t: TestContext,
  around: AroundRelay,
  ofA?: readonly RelayPlace[],
  ofB?: readonly RelayPlace[],
): Promise<{ source: LinkSession; target: LinkSession }> {
  const by = async (name: string, relays?: readonly RelayPlace[]): Promise<Credentials> => {
    const own = await around.host(name);
    return relays === undefined ? own : { ...own, relayed: { self: name, relays } };
  };
  const [a, b] = await Promise.all([by('a', ofA), by('b', ofB)]);
  const server = await SessionServer.listen({
    hosts: ['127.0.0.1'],
    ports: { from: 0, to: 0 },
    credentials: b,
    log: silentLog,
  });
  t.after(() => server.close());
  const options = { name: nameOf(), graceMs: 60_000 };
  const [target, source] = await Promise.all([
    server.accept({ ...options, peer: 'a' }, 20_000),
    openSession({
      ...options,
      credentials: a,
      peer: 'b',
      addresses: [`b.relay:${server.port}`],
      connections: 2,
    }),
  ]);
  t.after(() => {
    source.abort(new Error('the test is over'));
    target.abort(new Error('the test is over'));
  });
  return { source, target };
}

test('a wire session survives the repeated loss of its relay, and nothing is lost or doubled', async (t) => {
  const around = await aroundRelay(t);
  const { source, target } = await session(t, around);
  const there = new Arrivals(target);
  const sent: string[] = [];
  for (let count = 0; count < 30; count += 1) {
    const message = `${count} `.padEnd(100_000, 'x');
    sent.push(message);
    await source.send(32, Buffer.from(message));
    if (count % 10 === 5) await around.restart();
  }
  await source.close(30_000);
  assert.deepEqual(there.of(32), sent);
  assert.ok(source.counters.cuts >= 1);
});

test('requests of an agent go through a relay, and find it again after it was away', async (t) => {
  const around = await aroundRelay(t);
  const listening = await serving(t, await around.host('b'));
  const port = listening.address.split(':').at(-1);
  const { api } = calling(t, `b.relay:${port}`, await around.host('a'));
  const say = (text: string) =>
    api.report({ params: { name: 'x' }, query: { times: 1 }, body: { text } });
  assert.deepEqual(await say('one'), { said: 'one', by: 'a' });
  await around.restart();
  assert.deepEqual(await say('two'), { said: 'two', by: 'a' });
});

type Mischief = (chunk: Buffer, held: Buffer | undefined) => readonly (Buffer | undefined)[];

/** What a relay can do to bytes that it cannot read: the chunks that it passes on now, and the one that it holds. */
const MISCHIEFS: Readonly<Record<string, Mischief>> = {
  reorders: (chunk, held) =>
    held === undefined ? [undefined, chunk] : [Buffer.concat([chunk, held]), undefined],
  'sends twice': (chunk) => [Buffer.concat([chunk, chunk])],
  drops: () => [],
  'changes a bit of': (chunk) => {
    const changed = Buffer.from(chunk);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    return [changed];
  },
};

/** More than all handshakes take: mischief with those would only be a path that is not there. */
const HONEST_BYTES = 100_000;

/** A path to `port` that does mischief with the first two streams that carry more than `HONEST_BYTES` to it. */
async function mischievous(
  t: TestContext,
  port: number,
  mischief: Mischief,
): Promise<{ port: number; harmed: () => number }> {
  let streams = 0;
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    let isBad: boolean | undefined;
    let bytes = 0;
    let held: Buffer | undefined;
    for (const each of [near, far]) each.on('error', () => undefined);
    near.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > HONEST_BYTES) isBad ??= (streams += 1) <= 2;
      if (isBad !== true) return void far.write(chunk);
      const [out, kept] = mischief(chunk, held);
      held = kept;
      if (out !== undefined) far.write(out);
    });
    far.pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  const listening = once(server, 'listening');
  server.listen(0, '127.0.0.1');
  await listening;
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, harmed: () => streams };
}

for (const [does, mischief] of Object.entries(MISCHIEFS)) {
  test(`bytes that a relay ${does} never count as sent data, which all arrives once by another stream`, async (t) => {
    const around = await aroundRelay(t);
    const honest = Number(around.relay.address.split(':').at(-1));
    const { port, harmed } = await mischievous(t, honest, mischief);
    const { source, target } = await session(t, around, [
      { name: 'r', address: `127.0.0.1:${port}` },
    ]);
    const there = new Arrivals(target);
    const sent = Array.from({ length: 40 }, (_, count) => `${count} `.padEnd(100_000, 'x'));
    for (const message of sent) await source.send(32, Buffer.from(message));
    await source.close(60_000);
    assert.deepEqual(there.of(32), sent);
    // It is a cut only if both streams of the session are harmed before another one stands.
    assert.ok(harmed() >= 1);
  });
}

test('a session continues over a second relay when the first one does not come back', async (t) => {
  const around = await aroundRelay(t);
  const other = await around.further();
  const relays = [around.relay, other].map(({ address }) => ({ name: 'r', address }));
  const { source, target } = await session(t, around, relays, relays);
  const there = new Arrivals(target);
  const sent: string[] = [];
  for (let count = 0; count < 20; count += 1) {
    const message = `${count} `.padEnd(100_000, 'x');
    sent.push(message);
    await source.send(32, Buffer.from(message));
    if (count === 5) await around.stop();
  }
  await source.close(30_000);
  assert.deepEqual(there.of(32), sent);
  assert.ok(source.counters.cuts >= 1);
});
