import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import type { Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import { clientTls, type Credentials } from '../../src/rpc/tls.ts';
import { LINK_ALPN } from '../../src/links/dial.ts';
import { MAX_CONNECTIONS, openSession } from '../../src/links/open.ts';
import { Arrivals, joined, nameOf, parties, type Parties } from './session-pair.ts';
import { untilSo } from '../until.ts';

/** Less than a connection that never greets may stay: an honest host does not wait for its deadline. */
const OPEN_MS = 3000;

/** Connections that send nothing, from addresses that no honest host of the test has. */
async function silent(
  t: TestContext,
  { server }: Parties,
  count: number,
  addresses: number,
): Promise<void> {
  const sockets = Array.from({ length: count }, (_, each) => {
    const localAddress = `127.0.0.${2 + (each % addresses)}`;
    return net.connect({ host: '127.0.0.1', port: server.port, localAddress });
  });
  await Promise.all(sockets.map((socket) => opened(t, socket, 'connect')));
}

/** Connections with a certificate that never greet. */
async function ungreeted(
  t: TestContext,
  { server }: Parties,
  holder: Credentials,
  count: number,
): Promise<void> {
  const options = { ...clientTls(holder), ALPNProtocols: [LINK_ALPN], host: '127.0.0.1' };
  const sockets = Array.from({ length: count }, () =>
    tls.connect({ ...options, port: server.port }),
  );
  await Promise.all(sockets.map((socket) => opened(t, socket, 'secureConnect')));
}

/** Resolves once the connection is open, or was refused. */
async function opened(t: TestContext, socket: Socket, event: string): Promise<void> {
  t.after(() => socket.destroy());
  socket.on('error', () => undefined).resume();
  await Promise.race([once(socket, event), once(socket, 'close')]);
}

/** A new session of host a opens in time, and the one that is there goes on after a cut. */
async function letsIn(t: TestContext, all: Parties, crowd: () => Promise<void>): Promise<void> {
  const { source, target } = await joined(t, all);
  const there = new Arrivals(target);
  await crowd();
  const name = nameOf();
  const common = { name, graceMs: 60_000, connections: 1 };
  const accepted = all.server.accept({ ...common, peer: 'a' }, OPEN_MS);
  accepted.catch(() => undefined);
  const addresses = [`127.0.0.1:${all.server.port}`];
  const further = { ...common, credentials: all.a, addresses, peer: 'b', openMs: OPEN_MS };
  const session = await openSession(further);
  t.after(() => session.abort(new Error('the test is over')));
  (await accepted).ended.catch(() => undefined);
  session.ended.catch(() => undefined);
  const cutMs = performance.now();
  all.proxy.cut();
  await source.send(32, Buffer.from('after the cut'));
  await there.until(() => there.of(32).includes('after the cut'));
  assert.ok(performance.now() - cutMs < OPEN_MS);
}

test('silent connections of one address block neither a new session nor a cut one', async (t) => {
  const all = await parties(t);
  await letsIn(t, all, () => silent(t, all, 300, 1));
});

test('silent connections of several addresses block neither a new session nor a cut one', async (t) => {
  const all = await parties(t);
  await letsIn(t, all, () => silent(t, all, 300, 6));
});

test('a host that completes handshakes and never greets blocks no session of another host', async (t) => {
  const all = await parties(t);
  const other = await all.issue('c', 'agent');
  await letsIn(t, all, () => ungreeted(t, all, other, 80));
});

test('connections of a session yield no place to hosts that never greet', async (t) => {
  const all = await parties(t);
  const { source, target } = await joined(t, all, { connections: MAX_CONNECTIONS });
  const there = new Arrivals(target);
  await untilSo(() => target.connections === MAX_CONNECTIONS);
  for (const name of ['c', 'd', 'e']) await ungreeted(t, all, await all.issue(name, 'agent'), 32);
  await source.send(32, Buffer.from('still here'));
  await there.until(() => there.of(32).includes('still here'));
  assert.equal(target.connections, MAX_CONNECTIONS);
});
