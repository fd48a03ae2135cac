import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { issue } from '../../src/pki/authority.ts';
import { httpsFetch, NoAnswer } from '../../src/controller/https-fetch.ts';
import { authority } from '../rpc/test-contract.ts';

async function serverOf(
  t: TestContext,
  listener: RequestListener,
): Promise<{ url: string; ca: string }> {
  const { caDir } = await authority(t);
  const { cert, key } = await issue({
    caDir,
    name: 'id',
    role: 'agent',
    addresses: ['127.0.0.1'],
  });
  const server = createServer({ cert, key }, listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const ca = readFileSync(path.join(caDir, 'ca.crt'), 'utf8');
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/`, ca };
}

const GET = { method: 'GET', headers: {}, body: undefined, redirect: 'manual' } as const;

test('an answer is returned as it is; a redirect is shown, not followed', async (t) => {
  const { url, ca } = await serverOf(t, (request, response) => {
    if (request.url === '/on') response.writeHead(302, { location: '/' }).end();
    else response.writeHead(200, { 'content-type': 'application/json' }).end('{"a":1}');
  });
  const answer = await httpsFetch(ca)(url, GET);
  assert.deepEqual([answer.status, await answer.json()], [200, { a: 1 }]);
  assert.equal((await httpsFetch(ca)(`${url}on`, GET)).status, 302);
});

test('a form that is posted arrives whole', async (t) => {
  const { url, ca } = await serverOf(t, (request, response) => {
    request.pipe(response);
  });
  const body = new URLSearchParams({ code: 'a b', more: 'é' });
  const answer = await httpsFetch(ca)(url, { ...GET, method: 'POST', body });
  assert.equal(await answer.text(), 'code=a+b&more=%C3%A9');
});

test('a server of another CA, an oversized answer, and an interrupted one do not count as answers', async (t) => {
  const { url, ca } = await serverOf(t, (request, response) => {
    if (request.url === '/broken') response.writeHead(200).write('{', () => response.destroy());
    else response.end(Buffer.alloc(1024 * 1024 + 1));
  });
  const answers = (place: string, by: string | undefined, words: RegExp): Promise<void> =>
    assert.rejects(httpsFetch(by)(url + place, GET), (error) => {
      assert.ok(error instanceof NoAnswer);
      assert.match(error.message, words);
      return true;
    });
  await answers('', undefined, /certificate/);
  await answers('broken', ca, /aborted/);
  await answers('', ca, /more than 1048576 bytes/);
});

test('a body that must not exist is dropped from its answer', async (t) => {
  const { url, ca } = await serverOf(t, (_request, response) => {
    response.writeHead(205).end('a body');
  });
  const answer = await httpsFetch(ca)(url, GET);
  assert.deepEqual([answer.status, await answer.text()], [205, '']);
});
