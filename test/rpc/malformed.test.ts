import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { authority, serving, servingUnix } from './test-contract.ts';
import { begun, exchangeTls, exchangeUnix, post } from './wire.ts';

const cases: readonly [string, string, number, string, RegExp][] = [
  [
    'a body that is not JSON',
    post('/say/x', '{"text":'),
    400,
    'GODWIT_PROTOCOL_INVALID',
    /not JSON/,
  ],
  ['no body', post('/say/x', ''), 400, 'GODWIT_PROTOCOL_INVALID', /empty/],
  [
    'a body of another type',
    post('/say/x', '{"text":"t"}', 'text/plain'),
    400,
    'GODWIT_PROTOCOL_INVALID',
    /content-type is text\/plain/,
  ],
  [
    'a body of another type whose end does not come',
    begun('/say/x', 'text/plain'),
    400,
    'GODWIT_PROTOCOL_INVALID',
    /content-type is text\/plain/,
  ],
  [
    'a path part that is too long, before a body whose end does not come',
    begun(`/say/${'x'.repeat(21)}`),
    400,
    'GODWIT_PROTOCOL_INVALID',
    /a path/,
  ],
  [
    'a value of the wrong type',
    post('/say/x', '{"text":7}'),
    400,
    'GODWIT_PROTOCOL_INVALID',
    /expected string/,
  ],
  [
    'a query of the wrong type',
    post('/say/x?times=many', '{"text":"t"}'),
    400,
    'GODWIT_PROTOCOL_INVALID',
    /a query of/,
  ],
  [
    'a parameter that the route does not have',
    post('/say/x?Time=3', '{"text":"t"}'),
    400,
    'GODWIT_PROTOCOL_INVALID',
    /no parameter "Time"; did you mean times\?/,
  ],
  [
    'a parameter that is there twice',
    post('/say/x?times=3&times=4', '{"text":"t"}'),
    400,
    'GODWIT_PROTOCOL_INVALID',
    /"times" is there twice/,
  ],
  [
    'a path part that is too long',
    post(`/say/${'x'.repeat(21)}`, '{"text":"t"}'),
    400,
    'GODWIT_PROTOCOL_INVALID',
    /a path/,
  ],
  [
    'a path that is not well encoded',
    post('/say/%zz', '{"text":"t"}'),
    404,
    'GODWIT_ROUTE_UNKNOWN',
    /%zz/,
  ],
  ['an unknown route', post('/nothing', '{}'), 404, 'GODWIT_ROUTE_UNKNOWN', /POST \/nothing/],
  [
    'another method',
    'DELETE /hello HTTP/1.1\r\nhost: b\r\n\r\n',
    404,
    'GODWIT_ROUTE_UNKNOWN',
    /DELETE/,
  ],
  [
    'a declared body far over the limit',
    post('/say/x', '{}').replace('length: 2', 'length: 999999999999'),
    413,
    'GODWIT_TOO_LARGE',
    /limit of 0\.98 KiB/,
  ],
  [
    'something that is not HTTP',
    '\u0016\u0003\u0001garbage\r\n\r\n',
    400,
    'GODWIT_PROTOCOL_INVALID',
    /HTTP\/1\.1/,
  ],
  [
    'two lengths that differ',
    'POST /say/x HTTP/1.1\r\nhost: b\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}',
    400,
    'GODWIT_PROTOCOL_INVALID',
    /HTTP/,
  ],
  [
    'a length and chunks',
    'POST /say/x HTTP/1.1\r\nhost: b\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
    'GODWIT_PROTOCOL_INVALID',
    /HTTP/,
  ],
  [
    'headers without end',
    `GET /hello HTTP/1.1\r\n${'x: yyyyyyyyyyyyyyyy\r\n'.repeat(4000)}\r\n`,
    413,
    'GODWIT_TOO_LARGE',
    /header/,
  ],
];

for (const [what, bytes, status, code, message] of cases) {
  test(`the server refuses ${what} in words, and keeps running`, async (t) => {
    const { address } = await servingUnix(t, {}, { bodyBytes: 1000 });
    const answer = await exchangeUnix(address, bytes);
    assert.equal(answer.status, status, answer.text);
    assert.equal(answer.json.error.code, code);
    assert.match(answer.json.error.message, message);
    assert.doesNotMatch(answer.text, /node:internal|\.ts:\d/);
    assert.equal(
      (await exchangeUnix(address, 'GET /hello HTTP/1.1\r\nhost: b\r\n\r\n')).status,
      200,
    );
  });
}

test('no input crashes the server', async (t) => {
  const { address } = await servingUnix(t, {}, { bodyBytes: 1000, headersMs: 50, requestMs: 50 });
  const paths = fc.constantFrom(
    '/say/x',
    '/say/%00',
    '/hello',
    '/repeat/x?times=3',
    '/../say',
    '*',
  );
  const request = fc
    .tuple(fc.constantFrom('GET', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'CONNECT'), paths, fc.json())
    .map(([method, path, body]) => post(path, body).replace('POST', method));
  const bytes = fc.oneof(
    request,
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.tuple(request, fc.nat(200), fc.string()).map(([text, at, junk]) => text.slice(0, at) + junk),
  );
  await fc.assert(
    fc.asyncProperty(bytes, async (sent) => {
      const socket = net.connect({ path: address });
      socket.on('error', () => {});
      socket.end(sent);
      socket.resume();
      await once(socket, 'close');
      const { status } = await exchangeUnix(address, 'GET /hello HTTP/1.1\r\nhost: b\r\n\r\n');
      assert.equal(status, 200);
    }),
    { numRuns: 100 },
  );
});

test("a possible human caller gets a pointer to the API's pages, and a Godwit client its version", async (t) => {
  const { issue } = await authority(t);
  const { address } = await serving(t, await issue('b', 'agent'));
  const bytes = post('/say/x', '{"text":7}');
  for (const [role, hint] of [
    ['agent', /^Check that both ends run released versions/],
    ['operator', /^GET \/openapi\.json describes/],
  ] as const) {
    const answer = await exchangeTls(address, await issue('c', role), bytes);
    assert.equal(answer.status, 400, answer.text);
    assert.match(answer.json.error.hint, hint);
  }
  const unix = await servingUnix(t);
  const { json } = await exchangeUnix(unix.address, bytes);
  assert.match(json.error.hint, /^GET \/openapi\.json describes/);
});

test('a Godwit client may send a parameter of a newer build, and a user may not', async (t) => {
  const { issue } = await authority(t);
  const { address } = await serving(t, await issue('b', 'agent'));
  const bytes = post('/say/x?newer=1', '{"text":"t"}');
  for (const [role, status] of [
    ['agent', 200],
    ['controller', 200],
    ['viewer', 400],
    ['operator', 400],
  ] as const) {
    const answer = await exchangeTls(address, await issue('c', role), bytes);
    assert.equal(answer.status, status, `${role}: ${answer.text}`);
  }
});
