import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { hasCode } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import { RELAY_ALPN } from '../../src/protocol/relay.ts';
import { wrongServer, type Credentials } from '../../src/rpc/tls.ts';
import { relayCallerOf } from '../../src/rpc/gate.ts';
import { connectTls, isWaiting } from '../../src/rpc/relayed/call.ts';
import { waitAtRelays } from '../../src/rpc/relayed/wait.ts';
import { untilSo } from '../until.ts';
import { authority } from '../rpc/test-contract.ts';
import { aroundRelay, bareStream, echoing, type AroundRelay } from './test-relay.ts';

const within = AbortSignal.timeout(60_000);

/** b echoes, and waits at the relay. */
async function waitingEcho(t: TestContext, around: AroundRelay) {
  const b = await around.host('b');
  const { server, port } = await echoing(t, b);
  const waiting = waitAtRelays(server, port, b, silentLog);
  t.after(() => waiting.close());
  return { address: `b.relay:${port}`, waiting, server };
}

async function shaken(t: TestContext, address: string, by: Credentials): Promise<TLSSocket> {
  const socket = await connectTls(address, by, {}, within);
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

test('two hosts that both dial out connect by TLS, and each end reaches the other', async (t) => {
  const around = await aroundRelay(t);
  const { address } = await waitingEcho(t, around);
  const a = await around.host('a');
  const socket = await shaken(t, address, a);
  assert.equal(wrongServer(socket, { name: 'b', role: 'agent' }), undefined);
  const sent = randomBytes(3_000_000);
  socket.end(sent);
  const came: Buffer[] = [];
  for await (const chunk of socket) came.push(chunk as Buffer);
  assert.ok(Buffer.concat(came).equals(sent));
  assert.equal(await isWaiting(address, a, 5000, within), true);
});

test('the called host charges a stream to the caller that the relay has checked', async (t) => {
  const around = await aroundRelay(t);
  const { address, server } = await waitingEcho(t, around);
  const callers: (string | undefined)[] = [];
  server.prependListener('connection', (socket: Socket) => callers.push(relayCallerOf(socket)));
  for (const name of ['a', 'c']) await shaken(t, address, await around.host(name));
  assert.deepEqual(callers, ['a', 'c']);
});

test('more callers than waiting streams are served one after the other', async (t) => {
  const around = await aroundRelay(t);
  const { address } = await waitingEcho(t, around);
  const a = await around.host('a');
  await Promise.all(
    Array.from({ length: 12 }, async (_, index) => {
      const socket = await shaken(t, address, a);
      socket.write(`${index}`);
      const [echo] = (await once(socket, 'data')) as [Buffer];
      assert.equal(echo.toString(), `${index}`);
      socket.destroy();
    }),
  );
});

test('a host keeps more streams waiting after many simultaneous calls', async (t) => {
  const around = await aroundRelay(t);
  const { address } = await waitingEcho(t, around);
  const a = await around.host('a');
  await untilSo(() => around.relay.streams === 2);
  const callers = await Promise.all(Array.from({ length: 6 }, () => shaken(t, address, a)));
  for (const each of callers) each.destroy();
  await untilSo(() => around.relay.joined === 0 && around.relay.streams > 4);
  assert.ok(around.relay.streams <= 12, String(around.relay.streams));
});

test('a relay that restarts gets waiting streams again', async (t) => {
  const around = await aroundRelay(t);
  const { address } = await waitingEcho(t, around);
  const a = await around.host('a');
  const before = await shaken(t, address, a);
  const cut = once(before, 'close');
  await around.restart();
  await cut;
  const after = await shaken(t, address, a);
  after.write('again');
  assert.equal(String(((await once(after, 'data')) as [Buffer])[0]), 'again');
});

test('a host that waits at no relay is unreachable, and the error names the relay', async (t) => {
  const around = await aroundRelay(t, { limits: { callMs: 300 } });
  const a = await around.host('a');
  await assert.rejects(connectTls('b.relay:7443', a, {}, within), (error) => {
    assert.ok(hasCode(error, 'GODWIT_UNREACHABLE'));
    assert.match(
      (error as Error).message,
      /^b at b:7443 .* by the relay r at .*nobody took the call/,
    );
    return true;
  });
  assert.equal(await isWaiting('b.relay:7443', a, 5000, within), false);
  await around.stop();
  await assert.rejects(connectTls('b.relay:7443', a, {}, within), /by the relay r .*ECONNREFUSED/);
  const { relayed: _relayed, ...none } = a;
  await assert.rejects(connectTls('b.relay:7443', none, {}, within), /this host has none/);
});

for (const [who, name, role, code] of [
  ['a host that is not of the fleet', 'd', 'agent', 'GODWIT_NOT_A_MEMBER'],
  ['a viewer', 'ann', 'viewer', 'GODWIT_ROLE_FORBIDDEN'],
  ['another relay', 'r', 'relay', 'GODWIT_ROLE_FORBIDDEN'],
] as const) {
  test(`${who} gets no stream of a relay`, async (t) => {
    const { relay, issue } = await aroundRelay(t);
    const { line } = await bareStream(t, relay.address, await issue(name, role));
    const { type, error } = await line();
    assert.equal(type, 'refused');
    assert.equal((error as { code: string }).code, code);
    assert.equal((await line())['type'], 'closed');
  });
}

test('a caller with a certificate of another CA gets no stream of a relay', async (t) => {
  const { relay, issue } = await aroundRelay(t);
  const other = await (await authority(t)).issue('a', 'agent');
  // It trusts this relay; the relay does not trust it.
  const { ca } = await issue('b', 'agent');
  const { line } = await bareStream(t, relay.address, { ...other, ca });
  assert.equal(((await line())['error'] as { code: string }).code, 'GODWIT_PEER_UNTRUSTED');
});

test('a host may not wait under the name of another one', async (t) => {
  const { relay, issue } = await aroundRelay(t);
  const { socket, line } = await bareStream(t, relay.address, await issue('c', 'agent'));
  socket.write('{"version":1,"does":"wait","at":"b:7443"}\n');
  assert.equal(((await line())['error'] as { code: string }).code, 'GODWIT_PEER_UNTRUSTED');
  assert.equal((await line())['type'], 'closed');
});

for (const [what, text] of [
  ['no JSON', 'hello\n'],
  ['another version', '{"version":9,"does":"call","at":"b:1"}\n'],
  ['a line without an end', 'x'.repeat(100_000)],
  ['something after its line', '{"version":1,"does":"call","at":"b:1"}\n{"version":1}\n'],
] as const) {
  test(`a stream that sends ${what} is refused and closed`, async (t) => {
    const { relay, issue } = await aroundRelay(t);
    const { socket, line } = await bareStream(t, relay.address, await issue('a', 'agent'));
    socket.write(text);
    assert.equal(((await line())['error'] as { code: string }).code, 'GODWIT_PROTOCOL_INVALID');
    assert.equal((await line())['type'], 'closed');
  });
}

test('one host that floods a relay is held to its share, and others are served meanwhile', async (t) => {
  const around = await aroundRelay(t, { limits: { streamsEach: 12, callingEach: 4, callMs: 500 } });
  const { address } = await waitingEcho(t, around);
  const c = await around.issue('c', 'agent');
  const flood = await Promise.all(
    Array.from({ length: 8 }, () => bareStream(t, around.relay.address, c)),
  );
  for (const { socket } of flood) socket.write('{"version":1,"does":"call","at":"a:9"}\n');
  const codes = await Promise.all(
    flood.map(async ({ line }) => ((await line())['error'] as { code: string } | undefined)?.code),
  );
  assert.equal(codes.filter((code) => code === 'GODWIT_OVERLOADED').length, 4);
  const socket = await shaken(t, address, await around.host('a'));
  socket.write('served');
  assert.equal(String(((await once(socket, 'data')) as [Buffer])[0]), 'served');
});

test('a relay holds no more of a stream than its sockets if the other end reads nothing', async (t) => {
  const around = await aroundRelay(t);
  const [a, b] = await Promise.all([around.issue('a', 'agent'), around.issue('b', 'agent')]);
  const waiter = await bareStream(t, around.relay.address, b);
  waiter.socket.write('{"version":1,"does":"wait","at":"b:1"}\n');
  assert.equal((await waiter.line())['type'], 'waits');
  const caller = await bareStream(t, around.relay.address, a);
  caller.socket.write('{"version":1,"does":"call","at":"b:1"}\n');
  assert.equal((await waiter.line())['type'], 'offer');
  waiter.socket.write('ready\n');
  assert.equal((await caller.line())['type'], 'joined');
  // Written until the relay takes no more: then nothing drains for as long as nobody reads at the other end.
  const piece = Buffer.alloc(1024 * 1024);
  let pieces = 0;
  for (let drains = true; drains; pieces += 1) {
    if (caller.socket.write(piece)) continue;
    const drained = once(caller.socket, 'drain').then(() => true);
    const late = new Promise<boolean>((done) => setTimeout(() => done(false), 1000));
    drains = await Promise.race([drained, late]);
    assert.ok(pieces < 64, 'the relay takes more and more');
  }
});

test('a stream without data for too long is closed', async (t) => {
  const around = await aroundRelay(t, { splice: { idleMs: 300, stalledMs: 300 } });
  const { address } = await waitingEcho(t, around);
  const socket = await shaken(t, address, await around.host('a'));
  await once(socket, 'close');
  await untilSo(() => around.relay.joined === 0);
});

test("a controller never waits for calls, even under a host's name", async (t) => {
  const around = await aroundRelay(t);
  const own = await around.issue('b', 'controller');
  const { socket, line } = await bareStream(t, around.relay.address, own);
  socket.write(`${JSON.stringify({ version: 1, does: 'wait', at: 'b:7443' })}\n`);
  assert.equal((await line())['type'], 'refused');
});

test('callers that a server refuses do not end its waiting', async (t) => {
  const around = await aroundRelay(t);
  const { address, server } = await waitingEcho(t, around);
  const refusals = 5;
  let left = refusals;
  server.prependListener('connection', () => {
    left -= 1;
    if (left >= 0) throw new Error('it takes nobody now');
  });
  const own = await around.host('a');
  for (let tried = 0; tried < refusals; tried += 1) await assert.rejects(shaken(t, address, own));
  const socket = await shaken(t, address, own);
  assert.equal(socket.authorized, true);
});

test('a relay that drops all data delays no call that has less time than its deadline', async (t) => {
  const around = await aroundRelay(t);
  const { address } = await waitingEcho(t, around);
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  t.after(() => silent.close());
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const own = await around.host('a');
  const relays = [{ name: 'r0', address: `127.0.0.1:${port}` }, ...(own.relayed?.relays ?? [])];
  const both = { ...own, relayed: { self: 'a', relays } };
  // Less than a relay may take to answer: only one that is asked beside it can be there in time.
  const socket = await connectTls(address, both, {}, AbortSignal.timeout(6000));
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
});

/** A relay of its own making, which says `lines` to each host that waits; what hosts say to it, and the end of each stream. */
async function sayingRelay(t: TestContext, lines: string) {
  const { issue } = await authority(t);
  const { ca, cert, key } = await issue('r', 'relay');
  const said: string[] = [];
  let ended = 0;
  const options = { ca, cert, key, requestCert: true, ALPNProtocols: [RELAY_ALPN] };
  const relay = tls.createServer(options, (socket) => {
    t.after(() => socket.destroy());
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write(`{"type":"waits"}\n${lines}`));
    socket.on('data', (chunk: Buffer) => said.push(...chunk.toString().trim().split('\n')));
    socket.once('close', () => (ended += 1));
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  t.after(() => relay.close());
  const own = await issue('b', 'agent');
  const address = `127.0.0.1:${(relay.address() as AddressInfo).port}`;
  const b = { ...own, relayed: { self: 'b', relays: [{ name: 'r', address }] } };
  const { server, port } = await echoing(t, b);
  const waiting = waitAtRelays(server, port, b, silentLog);
  t.after(() => waiting.close());
  return { said, ended: () => ended };
}

test('simultaneous pings of a relay get one pong', async (t) => {
  const ping = '{"type":"ping"}\n';
  const { said } = await sayingRelay(t, `${ping.repeat(20)}{"type":"offer","by":"a"}\n`);
  await untilSo(() => said.includes('ready'));
  const first = said.slice(0, said.indexOf('ready')).filter((line) => line === 'pong');
  assert.ok(first.length > 0 && first.length <= 4, `${first.length} pongs`);
});

test("a relay that sends more than a relay's messages is left", async (t) => {
  const { said, ended } = await sayingRelay(t, '{"type":"ping"}\n'.repeat(1000));
  await untilSo(() => ended() >= 2);
  assert.ok(said.filter((line) => line === 'pong').length < 200);
});
