import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { brotliDecompressSync } from 'node:zlib';
import type { WebRole } from '../../src/protocol/controller/session.ts';
import { silentLog } from '../../src/log.ts';
import { cursorAt } from '../../src/protocol/public/page.ts';
import { authority, tempDir } from '../rpc/test-contract.ts';
import { Browser } from './browser.ts';
import { controllerOf, type Party } from './test-controller.ts';

const OWN = { 'x-godwit-request': '1', 'sec-fetch-site': 'same-origin' };

async function face(t: TestContext, pages?: string): Promise<{ party: Party; browser: Browser }> {
  const { caDir } = await authority(t);
  const web = { address: '127.0.0.1:0' };
  const party = await controllerOf(t, caDir, { web }, silentLog, pages);
  return { party, browser: new Browser(t, party.controller.web ?? '', caDir) };
}

async function tokenOf({ api }: Party, role: WebRole, name: string = role): Promise<string> {
  return (await api.createToken({ body: { name, role } })).token;
}

test('a stranger gets the sign-in instructions in problem+json, and nothing else', async (t) => {
  const { browser } = await face(t);
  for (const place of ['/v1/session', '/v1/hosts', '/v1/overview', '/v1/tokens', '/v1/none']) {
    const { status, headers, json } = await browser.ask(place);
    assert.equal(status, 401, place);
    assert.equal(headers['content-type'], 'application/problem+json');
    assert.deepEqual((json as { methods: unknown }).methods, { token: true });
    assert.equal((json as { code: string }).code, 'GODWIT_SIGN_IN');
  }
});

test('a token signs in, and its cookie replaces it until the token is revoked', async (t) => {
  const { party, browser } = await face(t);
  const token = await tokenOf(party, 'operator', 'ann');
  const signed = await browser.ask('/v1/session', { method: 'POST', body: { token } });
  const [set = ''] = signed.headers['set-cookie'] ?? [];
  assert.match(
    set,
    /^__Host-godwit=gds_[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict; Max-Age=43\d{3}$/,
  );
  const [cookie = ''] = set.split(';');
  const now = await browser.ask('/v1/session', { headers: { cookie } });
  assert.equal(now.status, 200);
  const { name, role, expiresAt } = now.json as { name: string; role: string; expiresAt: string };
  assert.deepEqual([name, role], ['ann', 'operator']);
  assert.ok(Date.parse(expiresAt) > Date.now());
  assert.equal((await browser.ask('/v1/hosts', { headers: { cookie } })).status, 200);
  await party.api.revokeToken({ params: { name: 'ann' } });
  assert.equal((await browser.ask('/v1/hosts', { headers: { cookie } })).status, 401);
  const bearer = { authorization: `Bearer ${token}` };
  assert.equal((await browser.ask('/v1/hosts', { headers: bearer })).status, 401);
});

test('a session ends with its sign-out', async (t) => {
  const { party, browser } = await face(t);
  const cookie = await browser.signIn(await tokenOf(party, 'viewer'));
  const headers = { cookie, ...OWN };
  const out = await browser.ask('/v1/session', { method: 'DELETE', headers });
  assert.equal(out.status, 200);
  assert.match(out.headers['set-cookie']?.[0] ?? '', /^__Host-godwit=;.*Max-Age=0$/);
  assert.equal((await browser.ask('/v1/session', { headers: { cookie } })).status, 401);
});

test('each role has its permissions and no more', async (t) => {
  const { party, browser } = await face(t);
  const body = { kind: 'drain', hosts: ['a'] };
  const statuses: Record<string, number[]> = {};
  for (const role of ['viewer', 'operator', 'admin'] as const) {
    const headers = { authorization: `Bearer ${await tokenOf(party, role)}` };
    const asked = [
      await browser.ask('/v1/overview', { headers }),
      await browser.ask('/v1/requests/r-abcdefgh?dryRun=true', { method: 'PUT', headers, body }),
      await browser.ask('/v1/tokens', { headers }),
    ];
    statuses[role] = asked.map(({ status }) => status);
  }
  // The fleet of this test has no host a: who may ask is told so.
  assert.deepEqual(statuses, {
    viewer: [200, 403, 403],
    operator: [200, 404, 403],
    admin: [200, 404, 200],
  });
});

test('a change by cookie that another site may have sent is refused', async (t) => {
  const { party, browser } = await face(t);
  const cookie = await browser.signIn(await tokenOf(party, 'admin'));
  const change = (headers: Record<string, string>) =>
    browser.ask('/v1/tokens', { method: 'POST', headers, body: { name: 'x', role: 'admin' } });
  const forged: Record<string, string>[] = [
    { cookie },
    { cookie, 'x-godwit-request': '1' },
    { cookie, ...OWN, 'sec-fetch-site': 'cross-site' },
    { cookie, ...OWN, origin: 'https://evil.example' },
    { cookie, 'x-godwit-request': '1', origin: 'null' },
    { cookie, 'sec-fetch-site': 'same-origin' },
  ];
  for (const headers of forged) {
    const { status, json } = await change(headers);
    assert.equal(status, 403, JSON.stringify(headers));
    assert.equal((json as { code: string }).code, 'GODWIT_REQUEST_FORGED');
  }
  assert.equal((await party.api.tokens()).tokens.length, 1);
  const origin = { cookie, 'x-godwit-request': '1', origin: browser.origin };
  assert.equal((await change(origin)).status, 200);
});

test('an unchanged overview is not sent again', async (t) => {
  const { party, browser } = await face(t);
  const headers = { authorization: `Bearer ${await tokenOf(party, 'viewer')}` };
  const first = await browser.ask('/v1/overview', { headers });
  assert.equal(first.status, 200);
  const { hosts, guests } = first.json as { hosts: unknown[]; guests: unknown[] };
  assert.deepEqual([hosts, guests], [[], []]);
  const etag = String(first.headers.etag);
  const again = await browser.ask('/v1/overview', {
    headers: { ...headers, 'if-none-match': etag },
  });
  assert.equal(again.status, 304);
  assert.equal(again.bytes.length, 0);
});

test('too many failed attempts from one network delay the next failed ones, and no valid one', async (t) => {
  const { party, browser } = await face(t);
  const token = await tokenOf(party, 'viewer');
  const attempt = async (said: string) =>
    (await browser.ask('/v1/session', { method: 'POST', body: { token: said } })).status;
  for (let count = 0; count < 10; count += 1) assert.equal(await attempt(`gdw_${count}`), 401);
  assert.equal(await attempt('gdw_more'), 429);
  // Who has a token, and stands behind the same address, notices nothing.
  assert.equal(await attempt(token), 200);
  const headers = { authorization: `Bearer ${token}` };
  assert.equal((await browser.ask('/v1/hosts', { headers })).status, 200);
});

test('the pages are served with a strict policy, compressed, and without any other file of this host', async (t) => {
  const outside = tempDir(t);
  writeFileSync(path.join(outside, 'secret.txt'), 'secret');
  const pages = path.join(outside, 'pages');
  mkdirSync(path.join(pages, 'assets'), { recursive: true });
  const script = 'let value = 1;\n'.repeat(1000);
  writeFileSync(path.join(pages, 'index.html'), '<!doctype html><title>Godwit</title>');
  writeFileSync(path.join(pages, 'assets', 'app.js'), script);
  const { browser } = await face(t, pages);

  const page = await browser.ask('/');
  assert.equal(page.status, 200);
  assert.match(String(page.headers['content-type']), /^text\/html/);
  assert.match(
    String(page.headers['content-security-policy']),
    /^default-src 'self'; base-uri 'none'/,
  );
  assert.equal(page.headers['x-content-type-options'], 'nosniff');
  // A path of the pages' own is the same page.
  assert.deepEqual((await browser.ask('/hosts/a?span=hour')).bytes, page.bytes);

  const packed = await browser.ask('/assets/app.js', {
    headers: { 'accept-encoding': 'gzip, br' },
  });
  assert.equal(packed.headers['content-encoding'], 'br');
  assert.equal(brotliDecompressSync(packed.bytes).toString(), script);
  assert.ok(packed.bytes.length < 200);
  const headers = { 'if-none-match': String(packed.headers.etag) };
  assert.equal((await browser.ask('/assets/app.js', { headers })).status, 304);

  const ways = [
    '/../secret.txt',
    '/assets/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
  ];
  for (const way of [
    ...ways,
    '/assets/..\\..\\secret.txt',
    '/assets/none.js',
    `/${outside}/secret.txt`,
  ]) {
    const { status, bytes } = await browser.ask(way);
    assert.equal(status, 404, way);
    assert.ok(!bytes.toString().includes('secret\n') && bytes.toString() !== 'secret', way);
  }
});

test('the documentation is served below /docs by the same policy, without a page of the dashboard', async (t) => {
  const folder = tempDir(t);
  const pages = path.join(folder, 'web');
  const site = path.join(folder, 'site');
  mkdirSync(pages);
  mkdirSync(path.join(site, 'drivers'), { recursive: true });
  writeFileSync(path.join(pages, 'index.html'), '<title>Dashboard</title>');
  writeFileSync(path.join(site, 'index.html'), '<title>Documentation</title>');
  writeFileSync(path.join(site, 'drivers', 'index.html'), '<title>Drivers</title>');
  const search = JSON.stringify(Array.from({ length: 200_000 }, (_none, at) => at));
  writeFileSync(path.join(site, 'search.json'), search);
  const { browser } = await face(t, pages);
  const titleAt = async (place: string): Promise<string> => {
    const { bytes, headers } = await browser.ask(place);
    assert.match(
      String(headers['content-security-policy']),
      /^default-src 'self'; base-uri/,
      place,
    );
    return bytes.toString();
  };
  for (const place of ['/docs', '/docs/', '/docs/index.html'])
    assert.equal(await titleAt(place), '<title>Documentation</title>', place);
  assert.equal(await titleAt('/docs/drivers/'), '<title>Drivers</title>');
  assert.equal(await titleAt('/docsx'), '<title>Dashboard</title>');
  for (const place of ['/docs/none', '/docs/none.html', '/docs/../web/index.html'])
    assert.equal((await browser.ask(place)).status, 404, place);
  const headers = { 'accept-encoding': 'br' };
  const packed = await browser.ask('/docs/search.json', { headers });
  assert.equal(packed.headers['content-encoding'], 'br');
  assert.equal(brotliDecompressSync(packed.bytes).toString(), search);
});

test('the API answers even without built pages', async (t) => {
  const { browser } = await face(t, path.join(tempDir(t), 'none'));
  const page = await browser.ask('/');
  assert.equal(page.status, 404);
  assert.match((page.json as { hint: string }).hint, /not built/);
  const docs = await browser.ask('/docs/');
  assert.match((docs.json as { hint: string }).hint, /npm run site/);
  assert.equal((await browser.ask('/health')).status, 200);
});

test('liveness and readiness are reported to any caller', async (t) => {
  const { browser } = await face(t);
  for (const place of ['/healthz', '/readyz', '/health'])
    assert.deepEqual((await browser.ask(place)).json, { ok: true }, place);
});

test('a cursor without a time is refused by each list by time', async (t) => {
  const { party, browser } = await face(t);
  const headers = { authorization: `Bearer ${await tokenOf(party, 'admin')}` };
  for (const list of ['/v1/proposals', '/v1/migrations', '/v1/audit']) {
    const { status, json } = await browser.ask(`${list}?cursor=${cursorAt(['1.5', 'x'])}`, {
      headers,
    });
    assert.deepEqual(
      [status, (json as { code: string }).code],
      [400, 'GODWIT_PROTOCOL_INVALID'],
      list,
    );
  }
});

test('a question mark within a query is part of it', async (t) => {
  const { party, browser } = await face(t);
  const headers = { authorization: `Bearer ${await tokenOf(party, 'admin')}` };
  await browser.ask('/v1/tokens', { method: 'POST', headers, body: { name: 'x', role: 'viewer' } });
  const by = async (who: string) => {
    const { json } = await browser.ask(`/v1/audit?who=${who}`, { headers });
    return (json as { entries: unknown[] }).entries.length;
  };
  assert.deepEqual([await by('admin'), await by('admin?')], [1, 0]);
});
