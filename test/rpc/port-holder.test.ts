import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo, type ListenOptions } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { silentLog } from '../../src/log.ts';
import { listenAt } from '../../src/rpc/listen-at.ts';
import { holderOfPort, holderOfSocket, listening, whyNotThere } from '../../src/rpc/port-holder.ts';

async function serve(t: TestContext, where: ListenOptions): Promise<number> {
  const server = createServer().listen(where);
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address() as AddressInfo | string;
  return typeof address === 'string' ? 0 : address.port;
}

test('a program on a port is found by its address, or on all addresses', async (t) => {
  const port = await serve(t, { host: '127.0.0.1', port: 0 });
  assert.equal(holderOfPort({ host: '127.0.0.1', port })?.pid, process.pid);
  assert.equal(holderOfPort({ host: '0.0.0.0', port })?.pid, process.pid);
  assert.equal(holderOfPort({ host: '127.0.0.2', port }), undefined);
  const six = await serve(t, { host: '::1', port: 0 });
  assert.equal(holderOfPort({ host: '0:0:0:0:0:0:0:1', port: six })?.pid, process.pid);
});

test('a program on a unix socket is found by its path', async (t) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'godwit-holder-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = path.join(directory, 'agent.sock');
  assert.equal(holderOfSocket(file), undefined);
  await serve(t, { path: file });
  assert.equal(holderOfSocket(file)?.pid, process.pid);
});

test('a port in use is reported with its program, and other errors unchanged', async (t) => {
  const port = await serve(t, { host: '127.0.0.1', port: 0 });
  const taken = Object.assign(new Error('taken'), { code: 'EADDRINUSE' });
  const at = { host: '127.0.0.1', port };
  assert.match(whyNotThere(taken, at), new RegExp(`process ${process.pid}, has that port`));
  const other = Object.assign(new Error('no such address'), { code: 'EADDRNOTAVAIL' });
  assert.equal(whyNotThere(other, at), 'no such address');
});

test('a port clash names the program to stop, and does not blame the configuration', async (t) => {
  const port = await serve(t, { host: '127.0.0.1', port: 0 });
  const server = createServer();
  await assert.rejects(listenAt(server, `127.0.0.1:${port}`, [], silentLog), {
    code: 'GODWIT_CONFIG',
    message: new RegExp(`process ${process.pid}, has that port`),
    hint: /^Stop the program that has the port, or choose another port/,
  });
});

test("the kernel's table is read by state, port and address", () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F3F 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1
   1: 0100007F:1F3F 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 222 1
   2: 00000000000000000000000000000000:1F3F 0000:0000 0A 0:0 00:0 0 0 0 333 1
   3: 0000000000000000FFFF00000100007F:1F3F 0000:0000 0A 0:0 00:0 0 0 0 444 1`;
  assert.deepEqual(listening(table, '127.0.0.1', 7999), ['111', '333', '444']);
  assert.deepEqual(listening(table, '10.0.0.1', 7999), ['333']);
  assert.deepEqual(listening(table, 'a-name', 7999), ['111', '333', '444']);
  assert.deepEqual(listening(table, '127.0.0.1', 80), []);
});
