import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import { queuedBytes, sendQueuesOf } from '../../../src/host/machine/socket-queue.ts';
import { until } from '../../until.ts';

const { signal } = new AbortController();

test('the queues of all connections count, whatever else is reported of each', () => {
  const said = [
    'ESTAB      0      1448000      10.0.0.1:43210    10.0.0.2:49152',
    'ESTAB 12 100 [fd00::1]:43212 [fd00::2]:49152 users:(("qemu",pid=1,fd=9))',
    'SYN-SENT 0 1 10.0.0.1:43214 10.0.0.2:49152',
    '',
  ];
  assert.equal(sendQueuesOf(said.join('\n')), 1_448_101);
  assert.equal(sendQueuesOf('\n'), undefined);
  assert.equal(sendQueuesOf('ss: cannot open netlink socket: Permission denied'), undefined);
});

test('a kernel holds the bytes that the peer does not read, and none of a missing connection', async (t) => {
  let peer: Socket | undefined;
  const server = createServer({ pauseOnConnect: true }, (socket) => (peer = socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const address = `127.0.0.1:${port}`;
  const socket = connect(port, '127.0.0.1');
  t.after(() => {
    socket.destroy();
    peer?.destroy();
    server.close();
  });
  await once(socket, 'connect');
  assert.equal(await queuedBytes(address, signal), 0);
  socket.write(Buffer.alloc(32 * 1024 ** 2));
  await until('the kernel to hold bytes', 10_000, async () => {
    const held = (await queuedBytes(address, signal)) ?? 0;
    return held > 0 ? held : undefined;
  });
  assert.equal(await queuedBytes(`127.0.0.2:${port}`, signal), undefined);
});
