import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import { Connection } from '../../src/links/connection.ts';
import { MAX_DATA_BYTES, type Frame } from '../../src/links/format.ts';
import { clientTls, serverTls } from '../../src/rpc/tls.ts';
import { authority } from '../rpc/test-contract.ts';

/** The type, the version and the length of a record. */
const RECORD_HEAD = 5;

/** The records of a stream of TLS, bytes each with their heads. */
function recordsOf(stream: Buffer): number[] {
  const found: number[] = [];
  for (let at = 0; at + RECORD_HEAD <= stream.length;) {
    const bytes = RECORD_HEAD + stream.readUInt16BE(at + 3);
    found.push(bytes);
    at += bytes;
  }
  return found;
}

/** A way to `port` that keeps what a client says. */
async function listening(t: TestContext, port: number) {
  const said: Buffer[] = [];
  const sockets: Socket[] = [];
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    sockets.push(near, far);
    for (const each of [near, far]) each.on('error', () => undefined);
    near.on('data', (chunk: Buffer) => said.push(chunk));
    near.pipe(far).pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const each of sockets) each.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, said };
}

test('each record of a connection fits into one record of the TLS to a relay', async (t) => {
  const { issue } = await authority(t);
  const arrived = Promise.withResolvers<Frame>();
  const server = tls.createServer(serverTls(await issue('b', 'agent')), (socket) => {
    const user = { frame: arrived.resolve, paused: () => undefined, closed: () => undefined };
    const taken = new Connection(socket, user);
    t.after(() => taken.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const way = await listening(t, (server.address() as AddressInfo).port);
  const own = clientTls(await issue('a', 'agent'));
  const socket = tls.connect({ ...own, host: '127.0.0.1', port: way.port });
  const closed: (Error | undefined)[] = [];
  const connection = new Connection(socket, {
    frame: () => undefined,
    paused: () => undefined,
    closed: (error) => closed.push(error),
  });
  t.after(() => connection.destroy());
  await once(socket, 'secureConnect');
  connection.write({
    type: 'data',
    channel: 32,
    number: 1,
    payload: Buffer.alloc(MAX_DATA_BYTES),
  });
  assert.equal((await arrived.promise).payload.length, MAX_DATA_BYTES);
  const records = recordsOf(Buffer.concat(way.said));
  assert.equal(Math.max(...records), 16_384);
  assert.ok(
    records.filter((bytes) => bytes === 16_384).length >= Math.floor(MAX_DATA_BYTES / 16_384),
  );
  assert.deepEqual(closed, []);
});
