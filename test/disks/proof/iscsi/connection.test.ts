import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { IscsiConnection } from '../../../../src/disks/proof/iscsi/connection.ts';
import * as pdus from '../../../../src/disks/proof/iscsi/pdu.ts';

/** A connection to a target that does what `serve` does. */
async function connected(
  t: TestContext,
  serve: (socket: Socket) => void,
): Promise<IscsiConnection> {
  const server = createServer((socket) => {
    t.after(() => socket.destroy());
    socket.on('error', () => undefined);
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const connection = await IscsiConnection.open('127.0.0.1', port, AbortSignal.timeout(30_000));
  t.after(() => connection.close());
  return connection;
}

test('a target that sends unrequested data is read no further until the next request', async (t) => {
  const count = 1000;
  const piece = pdus.encode(pdus.headerOf(pdus.OPCODES.nopIn, 0x80, 7), Buffer.alloc(65_536, 1));
  const order: string[] = [];
  const connection = await connected(t, (socket) => {
    for (let each = 1; each < count; each += 1) socket.write(piece);
    socket.write(piece, () => order.push('all sent'));
  });
  for (let turn = 0; turn < 3000; turn += 1) await new Promise(setImmediate);
  order.push('first read');
  for (let each = 0; each < count; each += 1) {
    assert.equal((await connection.next()).data.length, 65_536);
  }
  while (order.length < 2) await new Promise(setImmediate);
  assert.deepEqual(order, ['first read', 'all sent']);
});

test('a target that pings and reads no answer is left', async (t) => {
  const ping = pdus.encode(pdus.headerOf(pdus.OPCODES.nopIn, 0x80, pdus.NO_TAG));
  const pings = Buffer.concat(Array.from({ length: 1000 }, () => ping));
  const connection = await connected(t, (socket) => {
    socket.pause();
    const more = (): void => {
      while (!socket.destroyed && socket.write(pings));
    };
    socket.on('drain', more);
    more();
  });
  const answer = Buffer.alloc(16_384);
  await assert.rejects(async () => {
    for (let count = 0; count < 1_000_000; count += 1) {
      await connection.next();
      connection.send(answer);
    }
  }, /reads nothing of what it is sent/);
});
