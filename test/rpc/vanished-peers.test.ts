import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { silentLog } from '../../src/log.ts';
import { unheardIn, VanishedPeerWatch } from '../../src/rpc/vanished-peers.ts';

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n';
const line = (local: string, remote: string, retransmits: string, state = '01'): string =>
  `   0: ${local} ${remote} ${state} 00000012:00000000 01:00000014 ${retransmits}     0  0 1 1\n`;

async function connection(t: TestContext, host: string): Promise<net.Socket> {
  const server = net.createServer().listen({ host, port: 0 });
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const client = net.connect({ host, port });
  const [socket] = (await once(server, 'connection')) as [net.Socket];
  t.after(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });
  return socket;
}

const hex = (port = 0): string => port.toString(16).toUpperCase().padStart(4, '0');

test('a connection whose peer acknowledges nothing for 30 s is closed, and no other one', async (t) => {
  const gone = await connection(t, '127.0.0.1');
  const here = await connection(t, '127.0.0.1');
  const old = await connection(t, '::1');
  const of = ({ localPort, remotePort }: net.Socket, retransmits: string, address: string) =>
    line(`${address}:${hex(localPort)}`, `${address}:${hex(remotePort)}`, retransmits);
  const [v4, v6] = ['0100007F', '00000000000000000000000001000000'];
  let isOldSilent = true;
  const vanished = new VanishedPeerWatch(silentLog, () =>
    Promise.resolve([
      HEAD + of(gone, '00000003', v4) + of(here, '00000000', v4),
      HEAD + of(old, isOldSilent ? '00000001' : '00000000', v6),
    ]),
  );
  for (const socket of [gone, here, old, gone]) vanished.watch(socket);
  assert.equal(vanished.size, 3);
  await vanished.look(0);
  await vanished.look(20_000);
  assert.deepEqual([gone.destroyed, here.destroyed, old.destroyed], [false, false, false]);
  // It answers again: what was before counts no more.
  isOldSilent = false;
  await vanished.look(25_000);
  isOldSilent = true;
  const closed = once(gone, 'close');
  await vanished.look(30_000);
  await closed;
  assert.deepEqual([gone.destroyed, here.destroyed, old.destroyed], [true, false, false]);
  assert.equal(vanished.size, 2);
});

test("the reader of queues parses this kernel's lists", async (t) => {
  const socket = await connection(t, '127.0.0.1');
  const vanished = new VanishedPeerWatch(silentLog);
  vanished.watch(socket);
  await vanished.look(0);
  await vanished.look(60_000);
  assert.equal(socket.destroyed, false);
});

test('an IPv4 address is the same in both lists', () => {
  const v4 = unheardIn(HEAD + line('0100007F:1F90', '0200007F:0050', '00000001'));
  const mapped = unheardIn(
    HEAD +
      line('0000000000000000FFFF00000100007F:1F90', '0000000000000000FFFF00000200007F:0050', '1'),
  );
  assert.deepEqual(v4, ['7f000001:8080 7f000002:80']);
  assert.deepEqual(mapped, v4);
});

test('a connection that is closing is left to the kernel', () => {
  assert.deepEqual(unheardIn(HEAD + line('0100007F:1F90', '0200007F:0050', '00000009', '04')), []);
});
