import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { openSourceWire, openTargetWire } from '../../src/wire/open.ts';
import type { WireCache } from '../../src/wire/cache/circles.ts';
import { authority } from '../rpc/test-contract.ts';
import { readAll } from './relay/pair.ts';
import { longStream } from './relay/streams.ts';

async function wires(context: TestContext, caches: { near?: WireCache; far?: WireCache } = {}) {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'godwit-wire-'));
  const listening = path.join(directory, 'incoming.sock');
  const accepted = Promise.withResolvers<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => accepted.resolve(socket));
  await new Promise<void>((resolve) => server.listen(listening, resolve));
  const { issue } = await authority(context);
  const common = {
    migration: 'm-00000001',
    epoch: 1,
    session: randomBytes(16).toString('hex'),
    memoryBytes: 64 * 2 ** 20,
    graceMs: 60_000,
    cores: 1,
  };
  const target = await openTargetWire({
    ...common,
    peer: 'a',
    credentials: await issue('b', 'agent'),
    socket: listening,
    hosts: ['127.0.0.1'],
    ports: { from: 0, to: 0 },
    ...(caches.far && { cache: caches.far }),
  });
  context.after(async () => {
    target.abort(new Error('the test is over'));
    await target.close(1000);
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const source = await openSourceWire({
    ...common,
    peer: 'b',
    credentials: await issue('a', 'agent'),
    socket: path.join(directory, 'outgoing.sock'),
    addresses: [target.address],
    connections: 2,
    ...(caches.near && { cache: caches.near }),
  });
  const near = net.connect({ path: path.join(directory, 'outgoing.sock'), allowHalfOpen: true });
  await once(near, 'connect');
  context.after(() => {
    near.destroy();
    source.abort(new Error('the test is over'));
  });
  return { source, target, near, far: accepted.promise, directory };
}

describe('the wire of two movers', () => {
  test('the wire carries a stream over TLS, and reports its costs', async (context) => {
    const { source, target, near, far } = await wires(context);
    const stream = longStream(2000);
    near.end(stream);
    assert.ok((await readAll(await far)).equals(stream));
    (await far).end('done');
    assert.equal((await readAll(near)).toString(), 'done');
    await Promise.all([source.close(60_000), target.close(60_000)]);
    await Promise.all([source.ended, target.ended]);
    const figures = source.figures();
    assert.equal(figures.streamBytes, stream.length);
    assert.equal(figures.returnBytes, 4);
    assert.ok(figures.linkBytes > 1000 && figures.linkBytes < stream.length);
    assert.ok(figures.encoded.zero > 600);
    assert.equal(target.figures().streamBytes, stream.length);
  });

  test("an aborted wire closes the hypervisors' sockets and reports why on both sides", async (context) => {
    const { source, target, near, far } = await wires(context);
    near.write(longStream(10));
    await once(await far, 'data');
    source.abort(new Error('cancelled by an operator'));
    await assert.rejects(source.ended, /cancelled by an operator/);
    await assert.rejects(target.ended, /cancelled by an operator/);
    await Promise.all([readAll(near), readAll(await far)]);
  });
});
