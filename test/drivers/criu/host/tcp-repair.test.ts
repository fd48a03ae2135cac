import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { endRepair } from '../../../../src/drivers/criu/host/tcp-repair.ts';
import { close, copyFrom } from '../../../../src/drivers/criu/pager/kernel.ts';
import { libc } from '../../../../src/drivers/criu/pager/libc.ts';

const [SOL_TCP, TCP_REPAIR, SOL_SOCKET, SO_REUSEADDR] = [6, 19, 1, 2];
/** What a client sends comes back. */
const ECHO = `require('node:net').createServer((each) => each.pipe(each))
  .listen(0, '127.0.0.1', function () { console.log(this.address().port); });`;

/** A server in another process, and a connection to it. */
async function connected(t: TestContext): Promise<{ pid: number; client: net.Socket }> {
  const server = spawn(process.execPath, ['-e', ECHO], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => server.kill('SIGKILL'));
  const [port] = (await once(server.stdout, 'data')) as [Buffer];
  const client = net.connect(Number(port), '127.0.0.1');
  t.after(() => client.destroy());
  await once(client, 'connect');
  assert.equal(await echo(client, 'before'), 'before');
  return { pid: server.pid ?? assert.fail(), client };
}

async function echo(client: net.Socket, text: string): Promise<string> {
  const answer = once(client, 'data');
  client.write(text);
  return String((await answer)[0]);
}

/** Its TCP connections and what listens there, as descriptors of this process. */
function socketsOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/fd`)
    .filter((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:'))
    .map((fd) => copyFrom(pid, Number(fd)))
    .filter((fd) => fd !== undefined);
}

function optionOf(fd: number, level: number, name: number): number | undefined {
  const [value, length] = [Buffer.alloc(4), Buffer.from([4, 0, 0, 0])];
  return libc().getsockopt(fd, level, name, value, length) < 0 ? undefined : value.readInt32LE();
}

/** As a CRIU leaves them that is killed while it dumps. */
function intoRepair(fds: readonly number[]): number[] {
  const on = Buffer.from([1, 0, 0, 0]);
  return fds.filter((fd) => Number(libc().setsockopt(fd, SOL_TCP, TCP_REPAIR, on, 4)) >= 0);
}

test('a connection that a killed CRIU left in repair mode serves its peer again', async (t) => {
  const { pid, client } = await connected(t);
  const copies = socketsOf(pid);
  t.after(() => copies.forEach(close));
  const [connection, ...others] = intoRepair(copies);
  if (connection === undefined) return t.skip('this process may not use TCP_REPAIR');
  assert.deepEqual(others, []);
  assert.equal(await endRepair([pid]), 1);
  assert.equal(optionOf(connection, SOL_TCP, TCP_REPAIR), 0);
  assert.equal(optionOf(connection, SOL_SOCKET, SO_REUSEADDR), 1);
  assert.equal(await echo(client, 'after'), 'after');
});

test('healthy connections are left alone, and ended processes are skipped', async (t) => {
  const { pid, client } = await connected(t);
  assert.equal(await endRepair([pid, 2 ** 30]), 0);
  assert.equal(await echo(client, 'after'), 'after');
});
