import assert from 'node:assert/strict';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { createServer, ServerResponse } from 'node:http';
import path from 'node:path';
import { test } from 'node:test';
import { godwitError, hasCode } from '../../src/errors.ts';
import { client } from '../../src/rpc/client.ts';
import { until, untilSo } from '../until.ts';
import {
  authority,
  calling,
  callingUnix,
  contract,
  serving,
  servingUnix,
  tempDir,
} from './test-contract.ts';

const params = { name: 'x' };
const body = { text: 'héllo' };

test('a call uses mutual TLS and its answer is validated', async (t) => {
  const { issue } = await authority(t);
  const { address } = await serving(t, await issue('b', 'agent'));
  const { api } = calling(t, address, await issue('a', 'agent'));
  assert.deepEqual(await api.say({ params, body }), { said: 'héllo', by: 'a' });
  assert.deepEqual(await api.report({ params, body }), { said: 'héllo', by: 'a' });
});

test('a unix socket is only for its owner and grants the rights of an operator', async (t) => {
  const { address } = await servingUnix(t);
  assert.equal(statSync(address).mode & 0o777, 0o600);
  const { api } = callingUnix(t, address);
  assert.equal((await api.act({ params, body })).by, 'a local process');
  await assert.rejects(api.report({ params, body }), { code: 'GODWIT_ROLE_FORBIDDEN' });
});

test('consecutive calls use one connection', async (t) => {
  const { issue } = await authority(t);
  const sockets = new Set<unknown>();
  const { address } = await serving(t, await issue('b', 'agent'), {
    authorise: (caller) => sockets.add(caller),
  });
  const { api } = calling(t, address, await issue('a', 'agent'));
  for (let count = 0; count < 10; count += 1) await api.report({ params, body });
  assert.equal((await Array.fromAsync(api.repeat({ params, body }))).length, 1);
  await api.report({ params, body });
  assert.equal(sockets.size, 1);
});

test("an idle connection is closed by its client's setting, and another one is opened when needed", async (t) => {
  const { issue } = await authority(t);
  const sockets = new Set<unknown>();
  const { address } = await serving(t, await issue('b', 'agent'), {
    authorise: (caller) => sockets.add(caller),
  });
  const credentials = await issue('a', 'agent');
  const made = client(contract, { address, credentials, expectedName: 'b', idleMs: 1 });
  t.after(() => made.close());
  await until('a second connection', 10_000, async () => {
    await made.api.say({ params, body });
    return sockets.size > 1 ? true : undefined;
  });
});

test('warm connections are kept for simultaneous calls', async (t) => {
  const { issue } = await authority(t);
  const seen: unknown[] = [];
  const { address } = await serving(t, await issue('b', 'agent'), {
    authorise: (caller) => seen.push(caller),
  });
  const { api, warm } = calling(t, address, await issue('a', 'agent'));
  await warm(2);
  const before = new Set(seen);
  await Promise.all([api.report({ params, body }), api.report({ params, body })]);
  assert.equal(before.size, 2);
  assert.equal(new Set(seen).size, 2);
});

test('an error of the table is sent with its code, text, hint and facts', async (t) => {
  const thrown = godwitError('GODWIT_HOST_UNKNOWN', { host: 'zz' }, { hint: 'Did you mean z?' });
  const { address } = await servingUnix(t, {
    say: () => {
      throw thrown;
    },
  });
  const { api } = callingUnix(t, address);
  await assert.rejects(api.say({ params, body }), (error) => {
    assert.ok(hasCode(error, 'GODWIT_HOST_UNKNOWN'));
    assert.deepEqual(error.toJSON(), thrown.toJSON());
    return true;
  });
});

test('an answer that breaks the contract is a defect of the server', async (t) => {
  const { address } = await servingUnix(t);
  const { api } = callingUnix(t, address);
  await assert.rejects(api.broken(), { code: 'GODWIT_INTERNAL', message: /\/broken/ });
});

test('a stream delivers its lines in order and ends', async (t) => {
  const { address } = await servingUnix(t);
  const { api } = callingUnix(t, address);
  const lines = await Array.fromAsync(api.repeat({ params, query: { times: 3 }, body }));
  assert.equal(lines.length, 3);
});

test('a stream that fails at once has the status of its error, and later ends with the error', async (t) => {
  const failure = godwitError('GODWIT_HOST_UNKNOWN', { host: 'zz' });
  const { address } = await servingUnix(t, {
    async *repeat({ query }) {
      for (let count = 1; count < query.times; count += 1) yield { said: 'x', by: 'y' };
      throw failure;
    },
  });
  const { api } = callingUnix(t, address);
  for (const times of [1, 3]) {
    const got: unknown[] = [];
    await assert.rejects(
      async () => {
        for await (const line of api.repeat({ params, query: { times }, body })) got.push(line);
      },
      { code: 'GODWIT_HOST_UNKNOWN' },
    );
    assert.equal(got.length, times - 1);
  }
});

test('a stream whose reader leaves ends at the server too', async (t) => {
  const over = Promise.withResolvers<void>();
  const { address } = await servingUnix(t, {
    async *repeat({ signal }) {
      signal.addEventListener('abort', () => over.resolve());
      for (;;) yield { said: 'x'.repeat(1000), by: 'y' };
    },
  });
  const { api } = callingUnix(t, address);
  const lines = api.repeat({ params, body })[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value?.by, 'y');
  await lines.return?.();
  await over.promise;
});

test('a stream that its reader aborts, and never reads to its end, leaves no timer', async (t) => {
  const { address } = await servingUnix(t, {
    async *repeat() {
      for (;;) yield { said: 'x'.repeat(1000), by: 'y' };
    },
  });
  const timers = () => process.getActiveResourcesInfo().filter((what) => what === 'Timeout').length;
  const before = timers();
  const { api } = callingUnix(t, address, { streamIdleMs: 600_000 });
  const end = new AbortController();
  const lines = api.repeat({ params, body }, { signal: end.signal })[Symbol.asyncIterator]();
  await lines.next();
  assert.ok(timers() > before, 'its silence is waited for');
  end.abort();
  await untilSo(() => timers() <= before);
});

test('a stream waits for a slow reader', async (t) => {
  let made = 0;
  const { address } = await servingUnix(t, {
    async *repeat() {
      for (;;) {
        made += 1;
        yield { said: 'x'.repeat(100_000), by: 'y' };
      }
    },
  });
  const { api } = callingUnix(t, address);
  let read = 0;
  for await (const line of api.repeat({ params, body })) {
    assert.equal(line.by, 'y');
    read += 1;
    if (read === 100) break;
  }
  assert.equal(read, 100);
  assert.ok(made < read + 60, `${made} made for ${read} read`);
});

test('a silent stream is kept alive by empty lines, which its reader does not see', async (t) => {
  const more = Promise.withResolvers<void>();
  const { address } = await servingUnix(
    t,
    {
      async *repeat() {
        await more.promise;
        yield { said: 'x', by: 'y' };
      },
    },
    { heartbeatMs: 1 },
  );
  const { api } = callingUnix(t, address, { streamIdleMs: 5000 });
  const lines = api.repeat({ params, body })[Symbol.asyncIterator]();
  const written = t.mock.method(ServerResponse.prototype, 'write');
  const first = lines.next();
  const beats = (): number =>
    written.mock.calls.filter(({ arguments: [text] }) => (text as unknown) === '\n').length;
  await untilSo(() => beats() >= 3);
  more.resolve();
  assert.equal((await first).value?.by, 'y');
  assert.equal((await lines.next()).done, true);
});

test('a stream that went silent without a heartbeat is given up', async (t) => {
  const { address } = await servingUnix(t, {
    async *repeat({ signal }) {
      yield { said: 'x', by: 'y' };
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
  });
  const { api } = callingUnix(t, address, { streamIdleMs: 20 });
  await assert.rejects(Array.fromAsync(api.repeat({ params, body })), {
    code: 'GODWIT_UNREACHABLE',
  });
});

test("a stream is read before it is given up as silent, if its reader's process stalled", async (t) => {
  const line = `${JSON.stringify({ said: 'x', by: 'y' })}\n`;
  const answers: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    answers.push(response);
    response.write(line);
  });
  const file = path.join(tempDir(t), 'raw.sock');
  server.listen(file);
  t.after(() => server.close());
  await once(server, 'listening');
  const { api } = callingUnix(t, file, { streamIdleMs: 1000 });
  const lines = api.repeat({ params, body })[Symbol.asyncIterator]();
  await lines.next();
  const next = lines.next();
  // In the kernel before the time is over, and read after it.
  answers[0]?.end(line);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
  assert.equal((await next).value?.by, 'y');
});

test("a call has a deadline, and its handler's signal aborts", async (t) => {
  const heard = Promise.withResolvers<void>();
  const { address } = await servingUnix(t, {
    say: ({ signal }) =>
      new Promise((_resolve, reject) => {
        const left = (): void => {
          heard.resolve();
          reject(new Error('left'));
        };
        // On a busy machine the deadline may end before the handler begins.
        if (signal.aborted) left();
        else signal.addEventListener('abort', left);
      }),
  });
  const { api } = callingUnix(t, address);
  const late = api.say({ params, body }, { deadlineMs: 200 });
  await assert.rejects(late, { code: 'GODWIT_DEADLINE' });
  await heard.promise;
});

test('a call ends with the reason of the signal that aborts it', async (t) => {
  const { address } = await servingUnix(t, { say: () => new Promise(() => {}) });
  const { api } = callingUnix(t, address);
  const reason = new Error('no longer wanted');
  const signal = AbortSignal.abort(reason);
  await assert.rejects(api.say({ params, body }, { signal }), reason);
  const later = new AbortController();
  const call = api.say({ params, body }, { signal: later.signal });
  later.abort(reason);
  await assert.rejects(call, reason);
});

test('a server that closes lets running calls end, and a kept connection is opened again', async (t) => {
  const { issue } = await authority(t);
  const credentials = await issue('b', 'agent');
  const first = await serving(t, credentials);
  const { api } = calling(t, first.address, await issue('a', 'agent'));
  await api.report({ params, body });
  await first.close();
  await serving(t, credentials, { port: Number(first.address.split(':')[1]) });
  assert.equal((await api.report({ params, body })).by, 'a');
});
