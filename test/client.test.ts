import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { connect, hasCode, type ConnectOptions, type ErrorCode } from '../src/client.ts';
import { controllerOf } from './controller/test-controller.ts';
import { authority } from './rpc/test-contract.ts';

async function web(t: TestContext) {
  const { caDir } = await authority(t);
  const { api, controller } = await controllerOf(t, caDir, { web: { address: '127.0.0.1:0' } });
  const { token } = await api.createToken({ body: { name: 'ann', role: 'viewer' } });
  const ca = readFileSync(path.join(caDir, 'ca.crt'), 'utf8');
  const usual = { url: `https://${controller.web}`, token, ca };
  const opened = (given: Partial<ConnectOptions> = {}) => {
    const made = connect({ ...usual, ...given });
    t.after(() => made.close());
    return made.api;
  };
  return { api, opened, port: controller.web?.split(':')[1] };
}

const isError = (code: ErrorCode, words: RegExp) => (thrown: unknown) =>
  hasCode(thrown, code) && words.test(thrown.message);

test('connect calls the routes of a controller under a token', async (t) => {
  const { opened } = await web(t);
  const api = opened();
  assert.deepEqual(await api.hosts({ query: { limit: 10 } }), { hosts: [] });
  const { name, role } = await api.session();
  assert.deepEqual([name, role], ['ann', 'viewer']);
});

test('an error of the web listener is the error of the table', async (t) => {
  const { api: own, opened } = await web(t);
  const api = opened();
  const isUnknown = isError('GODWIT_HOST_UNKNOWN', /none/);
  await assert.rejects(api.host({ params: { host: 'none' } }), isUnknown);
  await assert.rejects(
    api.undrain({ params: { host: 'a' } }),
    isError('GODWIT_ROLE_FORBIDDEN', /ann/),
  );
  await own.revokeToken({ params: { name: 'ann' } });
  await assert.rejects(api.hosts(), isError('GODWIT_TOKEN_REFUSED', /the token/));
});

test('events of a controller arrive as objects, until the caller ends them', async (t) => {
  const { opened } = await web(t);
  const end = new AbortController();
  const events = opened().events({}, { signal: end.signal })[Symbol.asyncIterator]();
  const { value: first } = await events.next();
  assert.equal(first?.type, 'ready');
  end.abort(new Error('enough'));
  await assert.rejects(events.next(), /enough/);
});

test('connect names the certificate that it rejects, and sends it no token', async (t) => {
  const { opened, port } = await web(t);
  const { caDir } = await authority(t);
  const ca = readFileSync(path.join(caDir, 'ca.crt'), 'utf8');
  await assert.rejects(
    opened({ ca }).hosts(),
    isError('GODWIT_PEER_UNTRUSTED', /our CA|itself|another CA/),
  );
  const url = `https://localhost:${port}`;
  await assert.rejects(opened({ url }).hosts(), isError('GODWIT_PEER_UNTRUSTED', /another name/));
});

test('connect refuses invalid options, and repeats no token', () => {
  const url = 'https://control:7445';
  const wrong: ConnectOptions[] = [
    { url: 'http://control:7445', token: 'gdw_secret' },
    { url: 'https://control:7445/prefix', token: 'gdw_secret' },
    { url: 'https://gdw_secret@control:7445', token: 'gdw_secret' },
    { url: 'control', token: 'gdw_secret' },
    { url, token: '' },
    { url, token: 'gdw_secret\r\nx: y' },
    { url, token: 'gdw_secret', ca: 'ca.crt' },
  ];
  for (const given of wrong) {
    assert.throws(
      () => connect(given),
      (thrown) => hasCode(thrown, 'GODWIT_USAGE') && !JSON.stringify(thrown).includes('gdw_secret'),
      given.url,
    );
  }
});
