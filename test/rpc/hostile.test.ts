import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { authority, callingUnix, serving, servingUnix, sharesOf } from './test-contract.ts';
import { exchangeTls, exchangeUnix, post, readAnswer } from './wire.ts';
import { untilSo } from '../until.ts';

test('a body over the limit is refused, however it is sent, and its sender is told', async (t) => {
  const { address } = await servingUnix(t, {}, { bodyBytes: 1000 });
  const { api } = callingUnix(t, address);
  for (const size of [1001, 7000, 1_000_000]) {
    const call = api.say({ params: { name: 'x' }, body: { text: 'x'.repeat(size) } });
    await assert.rejects(call, (error: { code?: string }) => {
      // Far beyond the limit the server stops reading, so that the refusal may get lost on the way.
      const codes = size > 8000 ? ['GODWIT_TOO_LARGE', 'GODWIT_UNREACHABLE'] : ['GODWIT_TOO_LARGE'];
      return codes.includes(error.code ?? '');
    });
  }
  const chunk = `${(200).toString(16)}\r\n${'x'.repeat(200)}\r\n`;
  const head =
    'POST /say/x HTTP/1.1\r\nhost: b\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n';
  const answer = await exchangeUnix(address, `${head}${chunk.repeat(6)}0\r\n\r\n`);
  assert.equal(answer.status, 413);
});

test('an answer over the limit is not accepted by the client', async (t) => {
  const { address } = await servingUnix(t);
  const { api } = callingUnix(t, address, { answerBytes: 1000 });
  const call = api.say({ params: { name: 'x' }, body: { text: 'x'.repeat(2000) } });
  await assert.rejects(call, { code: 'GODWIT_TOO_LARGE' });
});

test('answers that share an allowance have no more than it together', async (t) => {
  const { address } = await servingUnix(t);
  const { api } = callingUnix(t, address, {});
  const allowance = { bytes: 1000 };
  const say = () =>
    api.say({ params: { name: 'x' }, body: { text: 'x'.repeat(400) } }, { allowance });
  await say();
  await say();
  await assert.rejects(say(), { code: 'GODWIT_TOO_LARGE' });
});

test('an answer that breaks the contract is not accepted by the client', async (t) => {
  for (const body of ['{"said":1}', 'nonsense', '', '{"error":{"code":"GODWIT_NOT_ONE"}}']) {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
      });
    });
    const { address } = await servingUnix(t);
    const file = `${address}2`;
    server.listen(file);
    await once(server, 'listening');
    t.after(() => server.close());
    const { api } = callingUnix(t, file);
    const call = api.say({ params: { name: 'x' }, body: { text: 't' } });
    await assert.rejects(call, { code: 'GODWIT_PROTOCOL_INVALID' });
    server.close();
  }
});

test('a client that sends headers or a body too slowly loses the connection', async (t) => {
  const limits = { headersMs: 30, requestMs: 60 };
  const { address } = await servingUnix(t, {}, limits);
  const slow = ['', 'GET /hello HTTP/1.1\r\nx: y', post('/say/x', '{"text":"t"}').slice(0, -3)];
  for (const bytes of slow) {
    const socket = net.connect({ path: address });
    socket.on('error', () => {});
    socket.write(bytes);
    const answer = await readAnswer(socket);
    assert.equal(answer.status, 504, JSON.stringify(bytes));
    assert.equal(answer.json.error.code, 'GODWIT_DEADLINE');
  }
});

test('a client that does not finish the TLS handshake loses the connection', async (t) => {
  const { issue } = await authority(t);
  const { address } = await serving(t, await issue('b', 'agent'), { limits: { handshakeMs: 30 } });
  const [host = '', port] = address.split(':');
  const socket = net.connect({ host, port: Number(port) });
  await once(socket, 'close');
});

test('plain HTTP on the TLS port gets nothing', async (t) => {
  const { issue } = await authority(t);
  const credentials = await issue('b', 'agent');
  const { address } = await serving(t, credentials);
  const [host = '', port] = address.split(':');
  const socket = net.connect({ host, port: Number(port) });
  socket.on('error', () => {});
  socket.write('GET /hello HTTP/1.1\r\nhost: b\r\n\r\n');
  assert.equal((await readAnswer(socket)).status, 0);
  const after = await exchangeTls(address, credentials, 'GET /hello HTTP/1.1\r\nhost: b\r\n\r\n');
  assert.equal(after.status, 200);
});

test('a client that reads nothing of a long answer loses the connection', async (t) => {
  const over = Promise.withResolvers<void>();
  const { address } = await servingUnix(
    t,
    {
      async *repeat({ signal }) {
        signal.addEventListener('abort', () => over.resolve());
        for (;;) yield { said: 'x'.repeat(1_000_000), by: 'y' };
      },
    },
    { stallMs: 30 },
  );
  const socket = net.connect({ path: address });
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  socket.pause();
  socket.write(post('/repeat/x', '{"text":"t"}'));
  await over.promise;
});

test('pipelined requests on one connection are bounded', async (t) => {
  let running = 0;
  let most = 0;
  const more = Promise.withResolvers<void>();
  const { address } = await servingUnix(
    t,
    {
      say: async ({ body, signal }) => {
        running += 1;
        most = Math.max(most, running);
        signal.addEventListener('abort', () => more.resolve());
        await more.promise;
        return { said: body.text, by: 'y' };
      },
    },
    { requestsPerConnection: 4 },
  );
  const socket = net.connect({ path: address });
  socket.on('error', () => {});
  socket.write(post('/say/x', '{"text":"t"}').repeat(200));
  await untilSo(() => most >= 4);
  more.resolve();
  let text = '';
  socket.setEncoding('utf8');
  while (!text.includes('GODWIT_OVERLOADED')) text += String((await once(socket, 'data'))[0]);
  socket.destroy();
  assert.equal(most, 4);
});

test('requests of one caller over all its connections are bounded, and so are waiting ones', async (t) => {
  const entered = Promise.withResolvers<void>();
  const one = { each: 1, all: 1 };
  const more = Promise.withResolvers<void>();
  const { address } = await servingUnix(
    t,
    {
      say: async () => {
        entered.resolve();
        await more.promise;
        return { said: 'x', by: 'y' };
      },
    },
    { shares: sharesOf('local', { requests: one, waiting: { each: 0, all: 0 } }) },
  );
  const { api } = callingUnix(t, address);
  const input = { params: { name: 'x' }, body: { text: 't' } };
  const first = api.say(input);
  await entered.promise;
  await assert.rejects(api.say(input), { code: 'GODWIT_OVERLOADED', retryable: true });
  more.resolve();
  await first;
});

test('connections beyond the limit are dropped, and those within it are served', async (t) => {
  const { address } = await servingUnix(t, {}, { connections: 2 });
  const sockets = Array.from({ length: 2 }, () => net.connect({ path: address }));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  const third = net.connect({ path: address });
  third.on('error', () => {});
  await once(third, 'close');
  const [first] = sockets;
  first!.write('GET /hello HTTP/1.1\r\nhost: b\r\n\r\n');
  assert.equal((await readAnswer(first!)).status, 200);
});
