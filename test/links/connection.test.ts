import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket, AddressInfo } from 'node:net';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import { Connection } from '../../src/links/connection.ts';
import { controlFrame, HEAD_BYTES, MAX_DATA_BYTES, type Frame } from '../../src/links/format.ts';
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

/** A connection to a peer that reads nothing until `read`; `turn` lets the event loop pass once. */
async function unread(t: TestContext) {
  const { issue } = await authority(t);
  const far = Promise.withResolvers<tls.TLSSocket>();
  const server = tls.createServer(serverTls(await issue('b', 'agent')), (socket) => {
    socket.on('error', () => undefined);
    t.after(() => socket.destroy());
    far.resolve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const socket = tls.connect({ ...clientTls(await issue('a', 'agent')), host: '127.0.0.1', port });
  const closed: (Error | undefined)[] = [];
  const connection = new Connection(socket, {
    frame: () => undefined,
    paused: () => undefined,
    closed: (error) => closed.push(error),
  });
  t.after(() => connection.destroy());
  await once(socket, 'secureConnect');
  const turn = () => new Promise(setImmediate);
  return { connection, closed, far: await far.promise, turn };
}

test('a peer that reads nothing of many answers is cut off', async (t) => {
  const { connection, closed, turn } = await unread(t);
  for (let count = 0; count < 2000 && closed.length === 0; count += 1) {
    for (let each = 0; each < 1024; each += 1) connection.write(controlFrame('pong'));
    await turn();
  }
  assert.match(String(closed[0]), /does not read what it is answered/);
});

test('a slow peer with full windows is never cut off, however much is reported to it', async (t) => {
  const { connection, closed, far, turn } = await unread(t);
  const payload = Buffer.alloc(MAX_DATA_BYTES);
  let sentBytes = 0;
  for (let number = 0; number < 500; number += 1) {
    connection.write({ type: 'data', channel: 32, number, payload });
    sentBytes += HEAD_BYTES + payload.length;
  }
  const report = controlFrame('ack', 1, Buffer.alloc(8 * 16));
  let held = 0;
  for (let count = 0; count < 3000; count += 1) {
    if (connection.isFull) held += 1;
    else {
      connection.write(report);
      sentBytes += HEAD_BYTES + report.payload.length;
    }
    if (count % 10 === 0) await turn();
  }
  assert.deepEqual(closed, []);
  assert.ok(held > 2000 && connection.unreadBytes > 16 * 1024 * 1024, `${held} held`);
  let readBytes = 0;
  far.on('data', (chunk: Buffer) => (readBytes += chunk.length));
  while (readBytes < sentBytes) await once(far, 'data');
  await turn();
  assert.deepEqual([closed, connection.isFull, connection.unreadBytes], [[], false, 0]);
});
