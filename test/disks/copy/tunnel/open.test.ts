import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { describe, test } from 'node:test';
import { openSourceTunnel } from '../../../../src/disks/copy/tunnel/open.ts';
import { hasCode } from '../../../../src/errors.ts';
import { connect, readAll } from './muxes.ts';
import { listening, tunnels } from './tunnels.ts';
import { untilSo } from '../../../until.ts';

const MIB = 2 ** 20;

describe('a tunnel over TLS', () => {
  test('a tunnel joins the two sockets, reports the bytes, and closes in good order', async (t) => {
    const { source, target, socket, pair } = await tunnels(t);
    assert.equal(statSync(socket).mode & 0o777, 0o600);
    const [near, far] = await pair();
    const [there, back] = [randomBytes(8 * MIB), randomBytes(MIB)];
    near.end(there);
    assert.ok((await readAll(far)).equals(there));
    far.end(back);
    assert.ok((await readAll(near)).equals(back));
    await Promise.all([source.close(10_000), target.close(10_000)]);
    await Promise.all([source.ended, target.ended]);
    const figures = source.figures();
    assert.deepEqual([figures.sentBytes, figures.receivedBytes], [there.length, back.length]);
    assert.ok(figures.linkBytes > there.length + back.length && figures.linkBytes < 10 * MIB);
    assert.equal(target.figures().receivedBytes, there.length);
    assert.equal(existsSync(socket), false);
  });

  test('a tunnel outlives the loss of its links, with nothing lost or doubled', async (t) => {
    const { source, proxy, pair } = await tunnels(t);
    const streams = [await pair(), await pair(), await pair()];
    const sent = streams.map(() => [randomBytes(4 * MIB), randomBytes(2 * MIB)] as const);
    const came = streams.flatMap(([near, far]) => [readAll(far), readAll(near)]);
    for (const [at, [near, far]] of streams.entries()) {
      near.end(sent[at]![0]);
      far.end(sent[at]![1]);
    }
    for (const share of [0.1, 0.3, 0.6]) {
      await untilSo(() => source.figures().sentBytes >= share * 12 * MIB);
      proxy.cut();
    }
    for (const [at, bytes] of (await Promise.all(came)).entries()) {
      assert.ok(bytes.equals(sent[at >> 1]![at & 1]!), `way ${at}`);
    }
    assert.ok(source.figures().cuts > 0);
  });

  test('an aborted tunnel breaks the sockets of both hosts and reports the reason', async (t) => {
    const { source, target, pair } = await tunnels(t);
    const ends = await pair();
    const both = ends.map((end) => readAll(end));
    source.abort(new Error('cancelled by an operator'));
    await assert.rejects(source.ended, /cancelled by an operator/);
    await assert.rejects(target.ended, /cancelled by an operator/);
    await Promise.all(both);
  });

  test('a tunnel whose link is away for longer than the grace period is over on both sides', async (t) => {
    const { source, target, proxy, pair } = await tunnels(t, { graceMs: 300 });
    const ends = await pair();
    const both = ends.map((end) => readAll(end));
    proxy.refusing = true;
    proxy.cut();
    for (const { ended } of [source, target]) {
      await assert.rejects(ended, (error) => hasCode(error, 'GODWIT_LINK_LOST'));
    }
    await Promise.all(both);
  });

  test('a tunnel breaks a connection that is not answered in time, and serves the next one once the link is back', async (t) => {
    const { source, proxy, socket, listener, pair } = await tunnels(t);
    const [near, far] = await pair();
    source.mustAnswerWithin(100);
    proxy.refusing = true;
    proxy.cut();
    near.write('a write of the guest');
    assert.equal((await readAll(near)).length, 0);
    assert.notEqual(source.measure.cutForMs, undefined);
    source.mustAnswerWithin(undefined);
    const again = await connect(t, socket);
    again.end('another one');
    proxy.refusing = false;
    await readAll(far);
    assert.equal((await readAll(await listener.next())).toString(), 'another one');
  });

  test('a tunnel respects its rate limit, and continues when the limit is lifted', async (t) => {
    const { source, target, pair } = await tunnels(t);
    source.limit(100_000);
    const [near, far] = await pair();
    const bytes = randomBytes(4 * MIB);
    const coming = readAll(far);
    near.end(bytes);
    await untilSo(() => target.figures().receivedBytes > 0);
    assert.ok(target.figures().receivedBytes < 2 * MIB);
    source.limit(undefined);
    assert.ok((await coming).equals(bytes));
  });

  test('a tunnel carries messages between the movers, including ones that come before a listener is attached', async (t) => {
    const { source, target } = await tunnels(t);
    await source.beside.send(1, Buffer.from('hello'));
    const said = Promise.withResolvers<string>();
    target.beside.on(1, async (message) => {
      await target.beside.send(1, Buffer.from('hello yourself'));
      said.resolve(Buffer.from(message).toString());
    });
    const back = Promise.withResolvers<string>();
    source.beside.on(1, async (message) => back.resolve(Buffer.from(message).toString()));
    assert.deepEqual(await Promise.all([said.promise, back.promise]), ['hello', 'hello yourself']);
  });
});

describe('opening a tunnel', () => {
  test('the opening ends with the signal, and leaves nothing', async (t) => {
    const { options, proxy } = await tunnels(t);
    const dark = {
      ...options,
      session: randomBytes(16).toString('hex'),
      socket: `${options.socket}2`,
    };
    proxy.refusing = true;
    const stop = new AbortController();
    const opening = openSourceTunnel(dark, stop.signal);
    stop.abort(new Error('not any more'));
    await assert.rejects(opening);
    assert.equal(existsSync(dark.socket), false);
  });

  test('an open tunnel is not undone by the signal of its opening', async (t) => {
    const stop = new AbortController();
    const { pair } = await tunnels(t, { signal: stop.signal });
    stop.abort(new Error('the step is over'));
    const [near, far] = await pair();
    near.end('still there');
    assert.equal((await readAll(far)).toString(), 'still there');
  });

  test('the tunnel replaces the socket that a dead mover left', async (t) => {
    const { pair } = await tunnels(t, { stale: true });
    const [near, far] = await pair();
    near.end('a new mover');
    assert.equal((await readAll(far)).toString(), 'a new mover');
  });

  test('the opening fails if it cannot create a socket', async (t) => {
    await assert.rejects(tunnels(t, { socket: 'no-directory/source.sock' }), /ENOENT|EACCES/);
  });
});

test('a destination that is closed before the source has come stops waiting', async (t) => {
  const { target } = await listening(t);
  await target.close(1000);
  await assert.rejects(target.ended, /closed/);
});
