import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import { hasCode } from '../../src/errors.ts';
import { clientTls, type Credentials } from '../../src/rpc/tls.ts';
import { LINK_ALPN } from '../../src/links/dial.ts';
import { controlFrame, LinkFrameReader, writeHead, type Frame } from '../../src/links/format.ts';
import { openSession } from '../../src/links/open.ts';
import { Arrivals, joined, nameOf, parties, type Parties } from './session-pair.ts';

/** A session that is there before the stranger comes, and is to be untouched by him. */
async function withSession(t: TestContext) {
  const all = await parties(t);
  const name = nameOf();
  const ends = await joined(t, all, { name });
  const there = new Arrivals(ends.target);
  const holds = async (): Promise<void> => {
    await ends.source.send(32, Buffer.from('on'));
    await there.until(() => there.of(32).includes('on'));
    await ends.source.close(10_000);
    await ends.target.ended;
    assert.deepEqual(there.of(32), ['on']);
  };
  return { all, name, holds };
}

function opening({ server }: Parties, credentials: Credentials, name = nameOf(), peer = 'b') {
  const address = `127.0.0.1:${server.port}`;
  const common = { graceMs: 60_000, addresses: [address], connections: 1, openMs: 3000 };
  return openSession({ ...common, name, credentials, peer });
}

for (const [who, name, role] of [
  ['another host', 'c', 'agent'],
  ['an operator', 'a', 'operator'],
  ['a viewer', 'a', 'viewer'],
] as const) {
  test(`${who} with a session's name gets no access to it`, async (t) => {
    const { all, name: session, holds } = await withSession(t);
    const stranger = await all.issue(name, role);
    await assert.rejects(opening(all, stranger, session), (error) =>
      hasCode(error, 'GODWIT_SESSION_ENDED', 'GODWIT_UNREACHABLE'),
    );
    await holds();
  });
}

test('a second opener of the same host gets no access to a session, however much of its name is right', async (t) => {
  const { all, name, holds } = await withSession(t);
  for (const wrong of [name, { ...name, epoch: 2 }, { ...name, migration: 'm-87654321' }]) {
    await assert.rejects(opening(all, all.a, wrong), (error) =>
      hasCode(error, 'GODWIT_SESSION_ENDED'),
    );
  }
  await holds();
});

test('a session without a waiting side is refused at once', async (t) => {
  const all = await parties(t);
  await assert.rejects(opening(all, all.a), /it knows no such session/);
});

test('a certificate of another CA is refused on both sides', async (t) => {
  const [ours, theirs] = [await parties(t), await parties(t)];
  await assert.rejects(opening(ours, theirs.a), (error) => hasCode(error, 'GODWIT_PEER_UNTRUSTED'));
});

test('a server that is not the agreed host is refused', async (t) => {
  const all = await parties(t);
  await assert.rejects(opening(all, all.a, nameOf(), 'c'), (error) =>
    hasCode(error, 'GODWIT_PEER_UNTRUSTED'),
  );
});

/** A connection of host a that says what it likes. */
async function raw(t: TestContext, { server, a }: Parties) {
  const options = { ...clientTls(a), ALPNProtocols: [LINK_ALPN], host: '127.0.0.1' };
  const socket = tls.connect({ ...options, port: server.port });
  t.after(() => socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  const reader = new LinkFrameReader();
  const frames: Frame[] = [];
  socket.on('data', (chunk: Buffer) => frames.push(...reader.read(chunk)));
  const say = (frame: Frame): void => {
    socket.write(writeHead(frame));
    socket.write(frame.payload);
  };
  const closed = once(socket, 'close');
  return { socket, frames, say, closed };
}

test('an invalid greeting ends its connection and nothing else', async (t) => {
  const { all, holds } = await withSession(t);
  for (const bytes of [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.alloc(64),
    writeHead(controlFrame('ping')),
    Buffer.concat([writeHead(controlFrame('hello', 0, Buffer.from('{')))]),
  ]) {
    const { socket, closed } = await raw(t, all);
    socket.write(bytes);
    if (bytes.includes(1)) socket.write('{');
    await closed;
  }
  await holds();
});

test('a peer with another version is told so', async (t) => {
  const { all, name, holds } = await withSession(t);
  const { say, frames, closed } = await raw(t, all);
  say(controlFrame('hello', 0, Buffer.from(JSON.stringify({ ...name, version: 2 }))));
  await closed;
  const [refusal] = frames;
  assert.equal(refusal?.type, 'refuse');
  assert.deepEqual(JSON.parse(Buffer.from(refusal.payload).toString()), { why: 'version' });
  await holds();
});

test('a session that is over is reported as such, with its reason', async (t) => {
  const all = await parties(t);
  const name = nameOf();
  const { source, target } = await joined(t, all, { name });
  await source.close(10_000);
  await target.ended;
  await assert.rejects(opening(all, all.a, name), /it closed the session/);
  const other = nameOf();
  const ends = await joined(t, all, { name: other });
  ends.target.abort(new Error('no room'));
  await assert.rejects(ends.source.ended, /no room/);
  await assert.rejects(opening(all, all.a, other), /no room/);
});

test('a host that greets correctly and then breaks the rules ends its session, with the fault', async (t) => {
  const all = await parties(t);
  for (const [wrong, what] of [
    [controlFrame('ack', 7), /an ack of what was not sent/],
    [controlFrame('hello'), /a hello frame on a connection that stands/],
    [{ ...controlFrame('data'), channel: 64 }, /channel 64 does not exist/],
  ] as const) {
    const name = nameOf();
    const { say, closed } = await raw(t, all);
    const accepted = all.server.accept({ name, peer: 'a', graceMs: 60_000 }, 5000);
    const greeting = {
      version: 1,
      incarnation: '1'.repeat(32),
      holdsBytes: 1 << 20,
      positions: [],
    };
    say(controlFrame('hello', 0, Buffer.from(JSON.stringify({ ...name, ...greeting }))));
    const target = await accepted;
    say(wrong);
    await assert.rejects(target.ended, what);
    await assert.rejects(target.ended, (error) => hasCode(error, 'GODWIT_PROTOCOL_INVALID'));
    await closed;
  }
});

test('a wait for a session ends at its deadline, and by its signal', async (t) => {
  const { server } = await parties(t);
  const options = { name: nameOf(), peer: 'a', graceMs: 60_000 };
  await assert.rejects(server.accept(options, 50), (error) => hasCode(error, 'GODWIT_DEADLINE'));
  const stop = new AbortController();
  const waiting = server.accept({ ...options, name: nameOf() }, 60_000, stop.signal);
  stop.abort(new Error('cancelled'));
  await assert.rejects(waiting, /cancelled/);
});

test('an opening ends at its deadline with its last error, and by its signal', async (t) => {
  const all = await parties(t);
  const common = { name: nameOf(), peer: 'b', credentials: all.a, connections: 1, graceMs: 60_000 };
  all.proxy.refusing = true;
  const addresses = [all.proxy.address];
  await assert.rejects(openSession({ ...common, addresses, openMs: 300 }), (error) =>
    hasCode(error, 'GODWIT_UNREACHABLE'),
  );
  const stop = new AbortController();
  const opened = openSession({ ...common, addresses, signal: stop.signal });
  stop.abort(new Error('cancelled'));
  await assert.rejects(opened, /cancelled/);
});

test('a signal ends an open session, on both sides', async (t) => {
  const all = await parties(t);
  const stop = new AbortController();
  const { source, target } = await joined(t, all, { signal: stop.signal });
  stop.abort(new Error('cancelled'));
  await assert.rejects(source.ended, /cancelled/);
  await assert.rejects(target.ended, /cancelled/);
});
