import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { hasCode } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import type { LinkSession } from '../../src/links/link-session.ts';
import { connectionsFor, openSession } from '../../src/links/open.ts';
import { SessionServer } from '../../src/links/server.ts';
import { authority } from '../rpc/test-contract.ts';
import { Arrivals, joined, nameOf, parties, Proxy } from './session-pair.ts';

const text = (value: string): Uint8Array => Buffer.from(value, 'latin1');

test('messages in both directions arrive once and in order, and a close ends both sides', async (t) => {
  const { source, target } = await joined(t, await parties(t), { connections: 3 });
  const there = new Arrivals(target);
  const back = new Arrivals(source);
  const large = randomBytes(700_000).toString('latin1');
  for (let count = 0; count < 200; count += 1) {
    await source.send(32, text(`bulk ${count}`));
    await source.send(16, text(`urgent ${count}`));
    await target.send(17, text(`back ${count}`));
  }
  await source.send(33, text(large));
  await source.send(33, text(''));
  await target.send(0, text('done'));
  await back.until(() => back.of(17).length === 200 && back.of(0).length === 1);
  await source.close(10_000);
  await target.ended;
  const counted = (word: string): string[] =>
    Array.from({ length: 200 }, (_, at) => `${word} ${at}`);
  assert.deepEqual(there.of(32), counted('bulk'));
  assert.deepEqual(there.of(16), counted('urgent'));
  assert.deepEqual(back.of(17), counted('back'));
  assert.deepEqual(there.of(33), [large, '']);
  assert.equal(source.unacknowledgedBytes, 0);
});

test('a session survives the loss of all its connections, at any moment, without lost or doubled data', async (t) => {
  const all = await parties(t);
  const { source, target } = await joined(t, all, { connections: 2 });
  const there = new Arrivals(target);
  const sent: string[] = [];
  for (let count = 0; count < 60; count += 1) {
    const message = `${count} `.padEnd(100_000, 'x');
    sent.push(message);
    await source.send(32 + (count % 2), text(message));
    if (count % 15 === 7) all.proxy.cut();
  }
  await source.close(20_000);
  for (const half of [0, 1]) {
    assert.deepEqual(
      there.of(32 + half),
      sent.filter((_, at) => at % 2 === half),
    );
  }
  assert.ok(source.counters.cuts >= 1);
});

test('an abort ends both sides with its reason', async (t) => {
  const { source, target } = await joined(t, await parties(t));
  source.abort(new Error('a page was not what it said'));
  await assert.rejects(source.ended, /a page was not/);
  await assert.rejects(target.ended, (error) => hasCode(error, 'GODWIT_SESSION_ENDED'));
  await assert.rejects(source.send(32, text('more')), /a page was not/);
});

test('a link that is away for longer than the grace period ends the session on both sides', async (t) => {
  const all = await parties(t);
  const { source, target } = await joined(t, all, { graceMs: 300 });
  all.proxy.refusing = true;
  all.proxy.cut();
  for (const session of [source, target]) {
    await assert.rejects(session.ended, (error) => hasCode(error, 'GODWIT_LINK_LOST'));
  }
});

test('a silent connection is detected, and its data is sent again', async (t) => {
  const all = await parties(t);
  const { source, target } = await joined(t, all, { connections: 1 });
  const there = new Arrivals(target);
  await source.send(32, text('before'));
  await there.until(() => there.of(32).length === 1);
  all.proxy.freeze();
  await source.send(32, text('into the dark'));
  await target.send(16, text('back'));
  const back = new Arrivals(source);
  await back.until(() => back.of(16).length === 1);
  await source.close(10_000);
  assert.deepEqual(there.of(32), ['before', 'into the dark']);
  assert.equal(source.counters.cuts, 1);
});

test('a connection whose address does not answer uses another one of the host', async (t) => {
  const all = await parties(t);
  const other = await Proxy.before(t, all.server.port);
  const { source, target } = await joined(t, all, { spare: [other.address] });
  const there = new Arrivals(target);
  assert.equal(other.accepted, 0);
  all.proxy.refusing = true;
  all.proxy.cut();
  await source.send(32, text('the other way'));
  await there.until(() => there.of(32).length === 1);
  assert.ok(other.accepted > 0);
  await source.close(10_000);
});

test('connections are spread over the addresses that are used together', async (t) => {
  const all = await parties(t);
  const other = await Proxy.before(t, all.server.port);
  const { source, target } = await joined(t, all, {
    connections: 4,
    addresses: [all.proxy.address, other.address],
  });
  const there = new Arrivals(target);
  await source.send(32, text('one'));
  await there.until(() => there.of(32).length === 1);
  while (source.measure.connections < 4) await new Promise((done) => setImmediate(done));
  assert.deepEqual([all.proxy.accepted, other.accepted], [2, 2]);
  await source.close(10_000);
});

test('a server takes connections on each address of its host', async (t) => {
  const ca = await authority(t);
  const [a, credentials] = await Promise.all([ca.issue('a', 'agent'), ca.issue('b', 'agent')]);
  const hosts = ['127.0.0.1', '127.0.0.2'];
  const ports = { from: 0, to: 0 };
  const server = await SessionServer.listen({ hosts, ports, credentials, log: silentLog });
  t.after(() => server.close());
  const common = { name: nameOf(), graceMs: 60_000 };
  const addresses = hosts.map((host) => `${host}:${server.port}`);
  const [target, source] = await Promise.all([
    server.accept({ ...common, peer: 'a' }, 10_000),
    openSession({ ...common, peer: 'b', credentials: a, addresses, connections: 2 }),
  ]);
  const there = new Arrivals(target);
  while (source.measure.connections < 2) await new Promise((done) => setImmediate(done));
  await source.send(32, text('both'));
  await source.close(10_000);
  assert.deepEqual(there.of(32), ['both']);
});

test('nothing is lost or doubled while the connections of both ways break again and again', async (t) => {
  const all = await parties(t);
  const other = await Proxy.before(t, all.server.port);
  const addresses = [all.proxy.address, other.address];
  const { source, target } = await joined(t, all, { addresses, connections: 4 });
  const arrived = [new Arrivals(target), new Arrivals(source)] as const;
  const send = async (from: LinkSession, at: number): Promise<void> => {
    for (let count = 0; count < 150; count += 1) {
      await from.send(32 + at, text(`${count} `.padEnd(20_000 * (count % 5), 'x')));
      await from.send(16, text(`${count}`));
      if (count % 25 === 20) all.proxy.cut(count % 2);
      if (count % 40 === 30) other.cut();
    }
  };
  await Promise.all([send(source, 0), send(target, 1)]);
  await source.close(30_000);
  await target.ended;
  for (const [at, there] of arrived.entries()) {
    const numbers = (messages: string[]): number[] =>
      messages.map((each) => Number.parseInt(each, 10));
    const counted = Array.from({ length: 150 }, (_, count) => count);
    assert.deepEqual(numbers(there.of(32 + at)), counted);
    assert.deepEqual(numbers(there.of(16)), counted);
  }
});

test('a message that is not accepted ends the session on both sides, with the reason', async (t) => {
  const { source, target } = await joined(t, await parties(t));
  target.onMessage = () => Promise.reject(new Error('the hypervisor is gone'));
  await source.send(32, text('page'));
  await assert.rejects(target.ended, /the hypervisor is gone/);
  await assert.rejects(source.ended, /b ended the session: .*the hypervisor is gone/);
});

test('a close waits until everything is read, and aborts the session at its deadline', async (t) => {
  const { source, target } = await joined(t, await parties(t));
  target.onMessage = () => new Promise(() => {});
  await source.send(32, text('page'));
  assert.equal(source.unacknowledgedBytes, 4);
  await assert.rejects(source.close(200), (error) => hasCode(error, 'GODWIT_DEADLINE'));
  await assert.rejects(target.ended, (error) => hasCode(error, 'GODWIT_SESSION_ENDED'));
});

test('a session that is closing while the link is away closes once it is back', async (t) => {
  const all = await parties(t);
  const { source, target } = await joined(t, all);
  const there = new Arrivals(target);
  all.proxy.refusing = true;
  all.proxy.cut();
  await source.send(32, text('last'));
  const closed = source.close(10_000);
  await assert.rejects(source.send(32, text('too late')), (error) =>
    hasCode(error, 'GODWIT_SESSION_ENDED'),
  );
  all.proxy.refusing = false;
  await closed;
  await target.ended;
  assert.deepEqual(there.of(32), ['last']);
});

test('messages that arrive before they are read wait', async (t) => {
  const { source, target } = await joined(t, await parties(t));
  await source.send(32, text('early'));
  await target.send(16, text('back'));
  const back = new Arrivals(source);
  await back.until(() => back.of(16).length === 1);
  const there = new Arrivals(target);
  await there.until(() => there.of(32).length === 1);
  await source.close(10_000);
});

test('a sender waits while the window is full, and continues when it is opened or emptied', async (t) => {
  const { source, target } = await joined(t, await parties(t));
  let release = (): void => {};
  const gate = new Promise<void>((open) => (release = open));
  const there = new Arrivals(target, () => gate);
  source.setWindow(100_000);
  for (let count = 0; count < 2; count += 1) await source.send(32, Buffer.alloc(60_000));
  let third = false;
  const sending = source.send(32, Buffer.alloc(60_000)).then(() => (third = true));
  await source.send(16, text('urgent is not bulk'));
  assert.equal(third, false);
  source.setWindow(200_000);
  await sending;
  const fourth = source.send(32, Buffer.alloc(60_000)).then(() => source.send(32, Buffer.alloc(1)));
  release();
  await fourth;
  await source.close(10_000);
  assert.equal(there.of(32).length, 5);
});

test('a long link gets as many connections as needed to fill it, and a short one the requested number', () => {
  const at = (bytesPerS: number, roundTripMs: number): number =>
    connectionsFor({ bytesPerS, roundTripMs }, 2);
  assert.equal(at(0, 0), 2);
  assert.equal(at(125_000_000, 1), 2);
  assert.equal(at(12_500_000, 150), 2);
  assert.equal(at(125_000_000, 150), 9);
  assert.equal(at(1_250_000_000, 300), 12);
});

test('data from the other side is still accepted after a goodbye was sent', async (t) => {
  const { source, target } = await joined(t, await parties(t));
  let release = (): void => {};
  const gate = new Promise<void>((open) => (release = open));
  const back = new Arrivals(source, () => gate);
  const there = new Arrivals(target);
  const sending = ['one', 'two', 'three'].map((word) => target.send(16, text(word)));
  await Promise.all(sending);
  await source.send(32, text('last'));
  const closed = source.close(10_000);
  await there.until(() => there.of(32).length === 1);
  release();
  await closed;
  await target.ended;
  assert.deepEqual(back.of(16), ['one', 'two', 'three']);
});

test('both sides may close at once, even repeatedly', async (t) => {
  const { source, target } = await joined(t, await parties(t));
  const there = new Arrivals(target);
  const back = new Arrivals(source);
  await Promise.all([source.send(32, text('there')), target.send(16, text('back'))]);
  await Promise.all([source.close(10_000), target.close(10_000), source.close(10_000)]);
  await Promise.all([source.close(1), target.close(1)]);
  assert.deepEqual([there.of(32), back.of(16)], [['there'], ['back']]);
});

test('a handler that throws at once ends the session, and so does one that rejects', async (t) => {
  const { source, target } = await joined(t, await parties(t));
  target.onMessage = () => {
    throw new Error('at once');
  };
  await source.send(32, text('page'));
  await assert.rejects(target.ended, /at once/);
  await assert.rejects(source.ended, /at once/);
});
