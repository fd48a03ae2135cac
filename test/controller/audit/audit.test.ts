import assert from 'node:assert/strict';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { Audit, MAX_PER_CALLER } from '../../../src/controller/audit/audit.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import { godwitError, hasCode } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import { controllerContract } from '../../../src/protocol/controller/contract.ts';
import type { AuditEntry } from '../../../src/protocol/controller/audit.ts';
import { authority } from '../../rpc/test-contract.ts';
import { Browser } from '../browser.ts';
import { controllerOf } from '../test-controller.ts';

const OWN = { 'x-godwit-request': '1', 'sec-fetch-site': 'same-origin' };

async function face(t: TestContext) {
  const { caDir } = await authority(t);
  const party = await controllerOf(t, caDir, { web: { address: '127.0.0.1:0' } });
  const browser = new Browser(t, party.controller.web ?? '', caDir);
  const tokenOf = async (role: 'viewer' | 'operator' | 'admin') =>
    (await party.api.createToken({ body: { name: role, role } })).token;
  return { party, browser, tokenOf };
}

const reported = ({ who, role, by, what, result }: AuditEntry) => [who, role, by, what, result];

test('an audited change is kept with its caller, method, address, object and result', async (t) => {
  const { party, browser, tokenOf } = await face(t);
  const headers = { authorization: `Bearer ${await tokenOf('operator')}` };
  const body = { note: 'fan 3 is loud' };
  const place = '/v1/hosts/a/maintenance';
  assert.equal((await browser.ask(place, { method: 'PUT', headers, body })).status, 404);
  const { entries } = await party.api.audit({});
  assert.deepEqual(entries.map(reported), [
    ['operator', 'operator', 'token', 'setMaintenance', 'GODWIT_HOST_UNKNOWN'],
    ['a local process', 'local', 'socket', 'createToken', 'ok'],
  ]);
  const [changed, made] = entries;
  assert.equal(changed?.from, '127.0.0.1');
  assert.equal(changed?.route, 'PUT /v1/hosts/:host/maintenance');
  assert.deepEqual(JSON.parse(changed?.arguments ?? ''), { params: { host: 'a' }, body });
  assert.equal(made?.from, undefined);
  assert.equal(made?.controller, 'control');
});

test("a sign-in is kept with its person, without the token, and so are the session's requests", async (t) => {
  const { party, browser, tokenOf } = await face(t);
  const token = await tokenOf('admin');
  const cookie = await browser.signIn(token);
  const headers = { cookie, ...OWN };
  assert.equal((await browser.ask('/v1/session', { method: 'DELETE', headers })).status, 200);
  const { entries } = await party.api.audit({ query: { who: 'admin' } });
  assert.deepEqual(entries.map(reported), [
    ['admin', 'admin', 'session', 'signOut', 'ok'],
    ['admin', 'admin', 'token', 'signIn', 'ok'],
  ]);
  const text = JSON.stringify((await party.api.audit({})).entries);
  assert.ok(!text.includes(token) && !/gd[ws]_/.test(text), text);
});

test('a sign-out is kept once and only with a session; a request that changes nothing is not kept', async (t) => {
  const { party, browser, tokenOf } = await face(t);
  const token = await tokenOf('viewer');
  const bearer = { authorization: `Bearer ${token}` };
  const cookie = await browser.signIn(token);
  const signOut = (headers: Readonly<Record<string, string>>) =>
    browser.ask('/v1/session', { method: 'DELETE', headers });
  assert.equal((await signOut({})).status, 200);
  assert.equal((await signOut(bearer)).status, 200);
  assert.equal((await signOut({ ...bearer, cookie })).status, 200);
  await party.api.signOut();
  const placement = { vcpus: 2, memoryBytes: 1024 ** 3 };
  await browser.ask('/v1/placements', { method: 'POST', headers: bearer, body: placement });
  const kept = async () => (await party.api.audit({})).entries.map(({ what }) => what).toReversed();
  assert.deepEqual(await kept(), ['createToken', 'signIn']);
  // A token beside the cookie signs nobody out: the session is still there.
  assert.equal((await signOut({ cookie, ...OWN })).status, 200);
  assert.equal((await signOut({ cookie, ...OWN })).status, 200);
  assert.deepEqual(await kept(), ['createToken', 'signIn', 'signOut']);
});

test("one persistent caller takes no other caller's place among the kept refused attempts", async (t) => {
  const { party, browser, tokenOf } = await face(t);
  const headers = { authorization: `Bearer ${await tokenOf('viewer')}` };
  const wrong = `gdw_${'a'.repeat(43)}`;
  for (let count = 0; count < 2 * MAX_PER_CALLER; count += 1)
    await browser.ask('/v1/session', { method: 'POST', body: { token: wrong } });
  // From the same address.
  await browser.ask('/v1/audit', { headers });
  const { entries } = await party.api.audit({ query: { who: 'viewer' } });
  assert.deepEqual(
    entries.map((each) => reported(each).join(' ')),
    ['viewer viewer token audit GODWIT_ROLE_FORBIDDEN'],
  );
});

test('forbidden requests are kept, including reads, and only a few per minute of a persistent stranger', async (t) => {
  const { party, browser, tokenOf } = await face(t);
  const headers = { authorization: `Bearer ${await tokenOf('viewer')}` };
  assert.equal((await browser.ask('/v1/audit', { headers })).status, 403);
  const body = { note: 'x' };
  const put = { method: 'PUT', headers, body };
  assert.equal((await browser.ask('/v1/hosts/a/maintenance', put)).status, 403);
  const { entries } = await party.api.audit({ query: { who: 'viewer' } });
  assert.deepEqual(
    new Set(entries.map((each) => reported(each).join(' '))),
    new Set([
      'viewer viewer token audit GODWIT_ROLE_FORBIDDEN',
      'viewer viewer token setMaintenance GODWIT_ROLE_FORBIDDEN',
    ]),
  );
  const wrong = `gdw_${'a'.repeat(43)}`;
  for (let count = 0; count < 2 * MAX_PER_CALLER; count += 1)
    await browser.ask('/v1/session', { method: 'POST', body: { token: wrong } });
  const knocked = (await party.api.audit({ query: { what: 'signIn' } })).entries;
  assert.equal(knocked.length, MAX_PER_CALLER);
  assert.deepEqual(
    new Set(knocked.map(({ by, role, from }) => `${by} ${role} ${from}`)),
    new Set(['none none 127.0.0.1']),
  );
  assert.ok(!JSON.stringify(knocked).includes(wrong));
});

test('a change that cannot be written down is refused and not done; reads continue', async (t) => {
  const { party, browser, tokenOf } = await face(t);
  const token = await tokenOf('admin');
  const database = new DatabaseSync(path.join(party.config.stateDir, 'controller.db'));
  database.exec('alter table audit rename to audit_away');
  const body = { name: 'late', role: 'admin' } as const;
  await assert.rejects(party.api.createToken({ body }), (thrown) =>
    hasCode(thrown, 'GODWIT_STORE'),
  );
  const signIn = await browser.ask('/v1/session', { method: 'POST', body: { token } });
  assert.equal(signIn.status, 503);
  assert.equal(signIn.headers['set-cookie'], undefined);
  const names = (await party.api.tokens()).tokens.map(({ name }) => name);
  assert.deepEqual(names, ['admin']);
  database.exec('alter table audit_away rename to audit');
  database.close();
  assert.equal((await party.api.createToken({ body })).entry.name, 'late');
});

test('pages of the log hold each entry once, the newest first, even if entries are added meanwhile', async (t) => {
  const { party } = await face(t);
  for (let count = 0; count < 5; count += 1)
    await party.api.createToken({ body: { name: `t${count}`, role: 'viewer' } });
  const seen: AuditEntry[] = [];
  let cursor: string | undefined;
  do {
    const query = { limit: 2, what: 'createToken', ...(cursor === undefined ? {} : { cursor }) };
    const page = await party.api.audit({ query });
    seen.push(...page.entries);
    cursor = page.next;
    await party.api.revokeToken({ params: { name: `t${seen.length - 1}` } });
  } while (cursor !== undefined && seen.length < 5);
  assert.equal(new Set(seen.map(({ id }) => id)).size, 5);
  const times = seen.map(({ at }) => at);
  assert.deepEqual(times, times.toSorted().toReversed());
  const later = new Date(Date.now() + 3_600_000).toISOString();
  assert.deepEqual((await party.api.audit({ query: { since: later } })).entries, []);
});

test('refused attempts beyond the write rate are counted, logged once, and named by the next entry', async (t) => {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  const lines: object[] = [];
  const log = { ...silentLog, warn: (facts: object) => lines.push(facts) } as typeof silentLog;
  let dropped = 0;
  const audit = new Audit({
    store,
    clock: systemClock,
    log,
    policy: { days: 1, most: 1000 },
    name: 'control',
    dropped: () => (dropped += 1),
  });
  const route = controllerContract.setMaintenance;
  const refusal = godwitError('GODWIT_ROLE_FORBIDDEN', {
    peer: 'x',
    role: 'none',
    action: 'this',
    needs: 'more',
  });
  const refuse = (name: string, role: 'none' | 'viewer'): void => {
    const caller = role === 'none' ? ({ name, role, refusal } as const) : { name, role };
    const from = `10.0.${name}.1`;
    audit.refused({ key: 'setMaintenance', route, caller, from }, 'GODWIT_ROLE_FORBIDDEN');
  };
  for (let count = 0; count < 60; count += 1) refuse(`${count}`, 'none');
  for (let count = 0; count < 60; count += 1) refuse(`${count}`, 'viewer');
  await audit.settled();
  assert.equal(dropped, 56);
  assert.equal(lines.length, 1);
  refuse('99', 'viewer');
  await audit.settled();
  const entries = await audit.rows.list({}, 200);
  assert.equal(entries.length, 65);
  // Entries of one millisecond have no order.
  assert.equal(entries.find(({ who }) => who === '99')?.unkept, 56);
});
