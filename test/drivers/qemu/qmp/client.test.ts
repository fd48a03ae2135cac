import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { QmpClient } from '../../../../src/drivers/qemu/qmp/client.ts';
import { connectMonitor } from '../../../../src/drivers/qemu/qmp/connect.ts';
import type { MonitorOwner } from '../../../../src/drivers/qemu/qmp/monitor-end.ts';
import type { QmpEvent } from '../../../../src/drivers/qemu/qmp/messages.ts';
import { hasCode } from '../../../../src/errors.ts';
import type { Life } from '../../../../src/system/processes/life.ts';

const OWNER = { host: 'a', guest: 'web1', side: 'source' } as const;
const GONE: Life = { state: 'gone', reason: 'it has ended' };
const HELLO =
  '{"QMP":{"version":{"qemu":{"major":7,"minor":2,"micro":22},"package":""},"capabilities":[]}}\n';
const signal = new AbortController().signal;

/** A monitor whose answers the test writes. */
class Monitor {
  readonly input = new PassThrough();
  readonly output = new PassThrough();
  enabled: string[] = [];
  readonly asked: { execute: string; arguments: unknown; id: number }[] = [];

  constructor() {
    let text = '';
    this.output.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) this.#take(JSON.parse(line) as Monitor['asked'][number]);
    });
  }

  #take(command: Monitor['asked'][number]): void {
    this.asked.push(command);
    if (command.execute !== 'qmp_capabilities') return;
    // As QEMU does: what it takes past others must be asked for first.
    this.enabled = (command.arguments as { enable?: string[] }).enable ?? [];
    this.say({ return: {}, id: command.id });
  }

  say(message: object): void {
    this.input.write(`${JSON.stringify(message)}\n`);
  }

  async open(hello = HELLO, owner: MonitorOwner = OWNER): Promise<QmpClient> {
    this.input.write(hello);
    return QmpClient.open(this, owner, 1000, signal);
  }
}

describe('a monitor', () => {
  test('a monitor greets, and is asked without waiting for the previous answer', async () => {
    const monitor = new Monitor();
    const client = await monitor.open();
    assert.equal(client.version, '7.2.22');
    const both = Promise.all([client.execute('one', {}), client.execute('two', { x: 1 })]);
    await new Promise(setImmediate);
    const [, one, two] = monitor.asked;
    assert.ok(one && two);
    monitor.say({ return: 'second', id: two.id });
    monitor.say({ event: 'STOP', data: {} });
    monitor.say({ return: 'first', id: one.id });
    assert.deepEqual(await both, ['first', 'second']);
    client.close();
  });

  test('a monitor is taken over as a former client left it, whatever that client did not read', async () => {
    const monitor = new Monitor();
    const client = QmpClient.resume(monitor, OWNER);
    monitor.input.write('event": "STOP", "data": {}}\n');
    monitor.say({ return: 'to the one before', id: 1 });
    const paused = client.urgent('migrate-pause', {});
    await new Promise(setImmediate);
    const [asked] = monitor.asked as unknown as { 'exec-oob': string; id: number }[];
    assert.equal(asked?.['exec-oob'], 'migrate-pause');
    monitor.say({ return: {}, id: asked.id });
    assert.deepEqual(await paused, { ok: true, value: {} });
    // Only the first line may be torn.
    monitor.input.write('event": "STOP"}\n');
    await assert.rejects(client.urgent('yank', {}), (error) =>
      hasCode(error, 'GODWIT_MONITOR_UNREACHABLE'),
    );
  });

  test('a monitor is asked out of band if it can be, and in turn if it cannot', async () => {
    const able = new Monitor();
    const first = await able.open(
      HELLO.replace('"capabilities":[]', '"capabilities":["oob","new"]'),
    );
    assert.deepEqual(able.enabled, ['oob']);
    const plain = new Monitor();
    const second = await plain.open();
    for (const [monitor, client, verb] of [
      [able, first, 'exec-oob'],
      [plain, second, 'execute'],
    ] as const) {
      const asked = client.urgent('yank', { instances: [] });
      await new Promise(setImmediate);
      const sent = monitor.asked[1] as unknown as Record<string, unknown>;
      assert.equal(sent[verb], 'yank');
      monitor.say({ return: {}, id: sent['id'] });
      assert.deepEqual(await asked, { ok: true, value: {} });
      client.close();
    }
  });

  test('a refusal of the monitor is quoted', async () => {
    const monitor = new Monitor();
    const client = await monitor.open();
    const asked = client.execute('migrate', {});
    await new Promise(setImmediate);
    monitor.say({ error: { class: 'GenericError', desc: 'not now' }, id: monitor.asked[1]?.id });
    await assert.rejects(
      asked,
      (error) => hasCode(error, 'GODWIT_HYPERVISOR') && /migrate.*not now/.test(error.message),
    );
    client.close();
  });

  test('an unexpected answer of the monitor is a protocol error', async () => {
    const monitor = new Monitor();
    const client = await monitor.open();
    const asked = client.query('query-status', {}, z.object({ status: z.string() }));
    await new Promise(setImmediate);
    monitor.say({ return: { status: 7 }, id: monitor.asked[1]?.id });
    await assert.rejects(asked, (error) => hasCode(error, 'GODWIT_PROTOCOL_INVALID'));
    client.close();
  });

  test('a monitor reports events in order, and its end to every waiting caller', async () => {
    const monitor = new Monitor();
    const client = await monitor.open();
    const heard: QmpEvent[] = [];
    client.onEvent((event) => heard.push(event));
    const waiting = client.execute('query-status', {});
    monitor.say({ event: 'STOP' });
    monitor.say({ event: 'RESUME' });
    monitor.input.end();
    await assert.rejects(waiting, (error) => hasCode(error, 'GODWIT_MONITOR_UNREACHABLE'));
    assert.deepEqual(
      heard.map(({ event }) => event),
      ['STOP', 'RESUME'],
    );
    await assert.rejects(client.execute('later', {}), (error) =>
      hasCode(error, 'GODWIT_MONITOR_UNREACHABLE'),
    );
  });

  test('a monitor that ends with its process means that the hypervisor is gone, once it is', async () => {
    const looks: Life[] = [{ state: 'alive' }, { state: 'gone', reason: 'it has ended' }];
    const monitor = new Monitor();
    const process = { life: () => looks.shift() ?? GONE, isEnding: () => true };
    const client = await monitor.open(HELLO, { ...OWNER, process });
    const waiting = client.execute('query-status', {});
    monitor.input.end();
    await assert.rejects(waiting, (error) => hasCode(error, 'GODWIT_HYPERVISOR_LOST'));
    assert.deepEqual(looks, []);
    assert.equal(client.endedWithProcess, true);
    await assert.rejects(client.execute('later', {}), (error) =>
      hasCode(error, 'GODWIT_HYPERVISOR_LOST'),
    );
  });

  test('a monitor whose two pipes break is read to its end before it is given up', async () => {
    const monitor = new Monitor();
    const process = { life: () => GONE, isEnding: () => true };
    const client = await monitor.open(HELLO, { ...OWNER, process });
    const heard: string[] = [];
    client.onEvent(({ event }) => heard.push(event));
    monitor.output.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    await new Promise(setImmediate);
    assert.equal(client.closed, false);
    monitor.say({ event: 'SHUTDOWN', data: {} });
    monitor.input.end();
    await assert.rejects(client.execute('query-status', {}), (error) =>
      hasCode(error, 'GODWIT_HYPERVISOR_LOST'),
    );
    assert.deepEqual(heard, ['SHUTDOWN']);
  });

  test('a monitor that ends while its process lives, or cannot be seen, does not mean a dead hypervisor', async () => {
    for (const life of [{ state: 'alive' }, { state: 'unknown', reason: 'EMFILE' }] as const) {
      const monitor = new Monitor();
      const process = { life: () => life, isEnding: () => false };
      const client = await monitor.open(HELLO, { ...OWNER, process, endsMs: 20 });
      const waiting = client.execute('query-status', {});
      monitor.input.end('{"return": {"stat');
      await assert.rejects(waiting, (error) => hasCode(error, 'GODWIT_MONITOR_UNREACHABLE'));
      assert.equal(client.endedWithProcess, false);
    }
  });

  test("a call is given up on the caller's signal, without ending the connection", async () => {
    const monitor = new Monitor();
    const client = await monitor.open();
    const control = new AbortController();
    const asked = client.execute('slow', {}, control.signal);
    control.abort(new Error('enough'));
    await assert.rejects(asked, /enough/);
    assert.equal(client.closed, false);
    client.close();
  });

  test('a monitor that sends garbage ends the connection cleanly, never the process', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const monitor = new Monitor();
        const client = await monitor.open();
        const waiting = client.execute('query-status', {});
        monitor.input.write(Buffer.from(bytes));
        monitor.input.end('\n{"oh": no}\n');
        await assert.rejects(waiting, (error) => hasCode(error, 'GODWIT_MONITOR_UNREACHABLE'));
      }),
      { numRuns: 200 },
    );
  });
});

describe('a monitor’s socket', () => {
  async function withSocket(
    serve: (socket: net.Socket) => void,
    work: (file: string) => Promise<void>,
  ): Promise<void> {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-qmp-'));
    const file = path.join(directory, 'qmp.sock');
    const sockets = new Set<net.Socket>();
    const server = net.createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      serve(socket);
    });
    server.listen(file);
    await once(server, 'listening');
    try {
      await work(file);
    } finally {
      for (const socket of sockets) socket.destroy();
      server.close();
      await rm(directory, { recursive: true });
    }
  }

  test('a socket that does not greet is held by another program', async () => {
    await withSocket(
      () => {},
      async (file) => {
        await assert.rejects(
          connectMonitor({ ...OWNER, path: file, user: 'anybody' }, 30, signal),
          (error) => hasCode(error, 'GODWIT_GUEST_MANAGED'),
        );
      },
    );
  });

  test('a socket without a listener proves nothing about the hypervisor', async () => {
    await assert.rejects(
      connectMonitor(
        { ...OWNER, path: path.join(os.tmpdir(), 'godwit-none.sock'), user: 'anybody' },
        30,
        signal,
      ),
      (error) => hasCode(error, 'GODWIT_MONITOR_UNREACHABLE'),
    );
  });

  test('a socket that accepts no more commands is read to its end', async () => {
    const shutdown = { event: 'SHUTDOWN', data: { guest: false, reason: 'host-qmp-quit' } };
    let quit = (): void => undefined;
    const serve = (socket: net.Socket): void => {
      socket.write(HELLO);
      socket.on('data', (chunk: Buffer) => {
        const { id } = JSON.parse(chunk.toString()) as { id: number };
        socket.write(`${JSON.stringify({ return: {}, id })}\n`);
      });
      quit = () => {
        socket.write(`${JSON.stringify(shutdown)}\n`);
        socket.destroy();
      };
    };
    await withSocket(serve, async (file) => {
      const process = { life: () => GONE, isEnding: () => true };
      const address = { ...OWNER, path: file, user: 'anybody', process } as const;
      const client = await connectMonitor(address, 1000, signal);
      const heard: QmpEvent[] = [];
      client.onEvent((event) => heard.push(event));
      quit();
      // Both are written before the event loop reads again, the second past the first.
      const asked = [client.execute('one', {}), client.execute('two', { long: 'x'.repeat(8192) })];
      for (const each of asked)
        await assert.rejects(each, (error) => hasCode(error, 'GODWIT_HYPERVISOR_LOST'));
      assert.deepEqual(
        heard.map(({ event, data }) => ({ event, data })),
        [shutdown],
      );
      assert.equal(client.endedWithProcess, true);
    });
  });

  test('a socket that closes at once proves nothing either', async () => {
    await withSocket(
      (socket) => socket.destroy(),
      async (file) => {
        await assert.rejects(
          connectMonitor({ ...OWNER, path: file, user: 'anybody' }, 1000, signal),
          (error) => hasCode(error, 'GODWIT_MONITOR_UNREACHABLE'),
        );
      },
    );
  });
});
