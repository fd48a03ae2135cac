import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { CALLBACK_PATH, type OidcConfig } from '../../../src/controller/oidc/config.ts';
import { Provider } from '../../../src/controller/oidc/provider.ts';
import { authority } from '../../rpc/test-contract.ts';
import { silentLog } from '../../../src/log.ts';
import { Browser } from '../browser.ts';
import { controllerOf, type Party } from '../test-controller.ts';
import { Person, type PageResponse } from './person.ts';
import { DASHBOARD, oidcProvider, type IdClaims, type TestProvider } from './provider.ts';

const BEGIN = `${DASHBOARD}/v1/session/oidc`;

interface Scene {
  readonly provider: TestProvider;
  readonly party: Party;
  readonly browser: Browser;
  /** Another one each time. */
  readonly person: () => Person;
}

async function scene(
  t: TestContext,
  given: Partial<OidcConfig> = {},
  groupsIn: 'id_token' | 'userinfo' = 'id_token',
): Promise<Scene> {
  const { caDir } = await authority(t);
  const provider = await oidcProvider(t, caDir, { groupsIn });
  const oidc = { ...provider.settings, ...given };
  const web = { address: '127.0.0.1:0', url: DASHBOARD, oidc };
  const party = await controllerOf(t, caDir, { web }, silentLog);
  const address = party.controller.web ?? '';
  const person = (): Person => new Person(caDir, { [DASHBOARD]: address });
  return { provider, party, browser: new Browser(t, address, caDir), person };
}

const isCallback = (to: string): boolean => to.startsWith(DASHBOARD + CALLBACK_PATH);

/** As far as the address by which the provider sends the browser back, which is not followed. */
async function answerFor(person: Person, login: string, to?: string): Promise<string> {
  const begin = to === undefined ? BEGIN : `${BEGIN}?to=${encodeURIComponent(to)}`;
  const { url, headers: on } = await person.go(begin, undefined, isCallback);
  // The provider knows this person already.
  if (on.location !== undefined) return on.location;
  const { headers } = await person.go(url, { login }, isCallback);
  return headers.location ?? '';
}

async function session(person: Person): Promise<{ name: string; role: string; expiresAt: string }> {
  const { text } = await person.ask(`${DASHBOARD}/v1/session`);
  return JSON.parse(text) as { name: string; role: string; expiresAt: string };
}

function isRefused(shown: PageResponse, words: RegExp, code = 'GODWIT_OIDC_REFUSED'): void {
  assert.ok(shown.status >= 400 && shown.status < 500, `${shown.status} ${shown.text}`);
  assert.match(String(shown.headers['content-type']), /^text\/html/);
  assert.match(shown.text, words);
  assert.ok(shown.text.includes(code), shown.text);
  const cookies = (shown.headers['set-cookie'] ?? []).join();
  assert.ok(!cookies.includes('gds_'), 'a refusal sets no session');
}

test('a person signs in with the provider, has the role of a group, and signs out', async (t) => {
  const { party, browser, person } = await scene(t);
  const stranger = await browser.ask('/v1/session');
  const { methods } = stranger.json as { methods: unknown };
  assert.deepEqual(methods, { token: true, oidc: { name: 'Test ID' } });

  const ann = person();
  const back = await ann.ask(await answerFor(ann, 'ann', '/hosts?state=up'));
  assert.deepEqual([back.status, back.headers.location], [303, '/hosts?state=up']);
  const [kept = ''] = back.headers['set-cookie'] ?? [];
  assert.match(kept, /^__Host-godwit=gds_[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict/);
  // What bound the answer to this browser is gone with it.
  assert.equal(ann.cookie(DASHBOARD, '__Host-godwit-begun'), undefined);

  const { name, role, expiresAt } = await session(ann);
  assert.match(name, /^ann#[0-9a-f]{8} via Test ID$/);
  assert.equal(role, 'operator');
  const lifeMs = Date.parse(expiresAt) - Date.now();
  assert.ok(lifeMs > 0 && lifeMs <= 2 * 3_600_000, `${lifeMs} ms of two hours`);
  assert.deepEqual((await party.api.tokens()).tokens, []);

  const cookie = `__Host-godwit=${ann.cookie(DASHBOARD, '__Host-godwit')}`;
  const headers = { cookie, 'x-godwit-request': '1', origin: DASHBOARD };
  assert.equal((await browser.ask('/v1/session', { method: 'DELETE', headers })).status, 200);
  assert.equal((await browser.ask('/v1/session', { headers: { cookie } })).status, 401);
});

test('the most powerful of several groups counts, even if only the user info names them', async (t) => {
  const { person } = await scene(t, {}, 'userinfo');
  const ada = person();
  await ada.ask(await answerFor(ada, 'ada'));
  assert.equal((await session(ada)).role, 'admin');
});

test('a person whose groups have no role is refused with the reason', async (t) => {
  const { person } = await scene(t);
  const eve = person();
  const shown = await eve.ask(await answerFor(eve, 'eve'));
  isRefused(
    shown,
    /eve#[0-9a-f]{8} via Test ID has no role here: Test ID reports no value of the claim groups/,
    'GODWIT_OIDC_ROLE',
  );
});

test("an answer to another browser's request is refused", async (t) => {
  const { person } = await scene(t);
  const [ann, eve] = [person(), person()];
  const foreign = await answerFor(eve, 'eve');
  // Eve sends Ann a link that would sign her in as Eve: with nothing begun, and with a sign-in of her own under way.
  isRefused(await ann.ask(foreign), /this browser did not begin it/);
  await ann.ask(BEGIN);
  isRefused(await ann.ask(foreign), /this browser did not begin it/);
  // A code of Eve's under Ann's own state is of another nonce and another verifier.
  const own = new URL(await answerFor(ann, 'ann'));
  own.searchParams.set('code', new URL(await answerFor(eve, 'eve')).searchParams.get('code') ?? '');
  isRefused(await ann.ask(own.href), /invalid_grant/);
});

test('a code is valid once', async (t) => {
  const { person } = await scene(t);
  const ann = person();
  const answer = await answerFor(ann, 'ann');
  const begun = ann.cookie(DASHBOARD, '__Host-godwit-begun') ?? '';
  assert.equal((await ann.ask(answer)).status, 303);
  isRefused(await ann.ask(answer), /this browser did not begin it/);
  // Somebody who has the cookie too is refused by the provider.
  ann.plant(DASHBOARD, '__Host-godwit-begun', begun);
  isRefused(await ann.ask(answer), /invalid_grant/);
});

test('an ID token for another sign-in is refused, even with a valid signature', async (t) => {
  const { provider, person } = await scene(t);
  const nowS = Math.floor(Date.now() / 1000);
  const wrong: readonly [string, (claims: IdClaims) => IdClaims, RegExp][] = [
    ['nonce', (claims) => ({ ...claims, nonce: 'another' }), /nonce/],
    ['no nonce', ({ nonce: _nonce, ...claims }) => claims, /nonce/],
    ['issuer', (claims) => ({ ...claims, iss: 'https://evil.example' }), /iss/],
    ['audience', (claims) => ({ ...claims, aud: 'another-client' }), /aud/],
    ['expired', (claims) => ({ ...claims, iat: nowS - 7200, exp: nowS - 3600 }), /exp|timestamp/],
  ];
  for (const [what, change, words] of wrong) {
    provider.forge(change);
    const ann = person();
    await t.test(what, async () => isRefused(await ann.ask(await answerFor(ann, 'ann')), words));
  }
  provider.forge((claims) => claims, 'foreign');
  const ann = person();
  isRefused(await ann.ask(await answerFor(ann, 'ann')), /signature/);
  provider.forge((claims) => claims);
  assert.equal((await ann.ask(await answerFor(ann, 'ann'))).status, 303);
});

test('an answer of another issuer, and a denial, are refused', async (t) => {
  const { person } = await scene(t);
  const ann = person();
  const mixed = new URL(await answerFor(ann, 'ann'));
  mixed.searchParams.set('iss', 'https://evil.example');
  isRefused(await ann.ask(mixed.href), /iss/);
  const { searchParams } = new URL(await answerFor(ann, 'ann'));
  const no = new URLSearchParams({
    state: searchParams.get('state') ?? '',
    iss: searchParams.get('iss') ?? '',
    error: 'access_denied',
    error_description: '<script>alert(1)</script>',
  });
  const shown = await ann.ask(`${DASHBOARD}${CALLBACK_PATH}?${no.toString()}`);
  isRefused(shown, /access_denied/);
  assert.ok(!shown.text.includes('<script'), 'what the provider says is text');
});

test('a sign-in leads to no other site', async (t) => {
  const { person } = await scene(t);
  for (const to of [
    '//evil.example',
    'https://evil.example',
    '/\\evil.example',
    '/\t/evil.example',
    'x',
  ])
    isRefused(
      await person().ask(`${BEGIN}?to=${encodeURIComponent(to)}`),
      /is no path of the dashboard/,
      'GODWIT_USAGE',
    );
  // Nor by a cookie that somebody changed.
  const ann = person();
  const answer = await answerFor(ann, 'ann');
  const [at, secret] = (ann.cookie(DASHBOARD, '__Host-godwit-begun') ?? '').split('.');
  const elsewhere = Buffer.from('//evil.example').toString('base64url');
  ann.plant(DASHBOARD, '__Host-godwit-begun', `${at}.${secret}.${elsewhere}`);
  isRefused(await ann.ask(answer), /this browser did not begin it/);
});

test("a sign-in is in the audit log with the provider's name for the person, and so is a refused one", async (t) => {
  const { provider, party, person } = await scene(t);
  const ann = person();
  await ann.ask(await answerFor(ann, 'ann'));
  await person().ask(`${DASHBOARD}${CALLBACK_PATH}?code=${'c'.repeat(40)}&state=s`);
  const { entries } = await party.api.audit({ query: { what: 'signInByProvider' } });
  const [refused, signed] = entries;
  assert.equal(entries.length, 2);
  assert.deepEqual([refused?.by, refused?.result], ['none', 'GODWIT_OIDC_REFUSED']);
  assert.deepEqual([signed?.by, signed?.result, signed?.from], ['oidc', 'ok', '127.0.0.1']);
  assert.equal(signed?.who, (await session(ann)).name);
  const { body } = JSON.parse(signed?.arguments ?? '') as { body: object };
  assert.deepEqual(body, { issuer: provider.issuer, sub: 'ann' });
  assert.ok(!/gds_|ccccc/.test(JSON.stringify(entries)));
});

test('an administrator lists the sessions of people and ends them; two people of one name are separate', async (t) => {
  const { provider, party, person } = await scene(t);
  const [ann, ada] = [person(), person()];
  provider.forge((claims) => ({ ...claims, preferred_username: 'ann' }));
  await ann.ask(await answerFor(ann, 'ann'));
  await ada.ask(await answerFor(ada, 'ada'));
  const names = [(await session(ann)).name, (await session(ada)).name];
  assert.ok(names.every((name) => name.startsWith('ann#')));
  assert.equal(new Set(names).size, 2);
  const { sessions } = await party.api.sessions({});
  assert.deepEqual(
    sessions.map(({ name, issuer, subject, role }) => [name, issuer, subject, role]),
    [
      [names[1], provider.issuer, 'ada', 'admin'],
      [names[0], provider.issuer, 'ann', 'operator'],
    ],
  );
  const [own] = (await party.api.sessions({ query: { name: names[0] } })).sessions;
  await party.api.endSession({ params: { id: own?.id ?? '' } });
  const asked = async (who: Person) => (await who.ask(`${DASHBOARD}/v1/session`)).status;
  assert.deepEqual([await asked(ann), await asked(ada)], [401, 200]);
  assert.deepEqual(await party.api.endSessions({ query: { name: names[1] ?? '' } }), { ended: 1 });
  assert.equal(await asked(ada), 401);
  assert.deepEqual((await party.api.sessions({})).sessions, []);
  const { entries } = await party.api.audit({ query: { who: 'a local process' } });
  assert.deepEqual(
    entries.map(({ what }) => what),
    ['endSessions', 'endSession'],
  );
});

test('a provider that is down is reported as down, and a token still signs in', async (t) => {
  const { provider, party, browser, person } = await scene(t);
  await provider.close();
  const shown = await person().ask(BEGIN);
  assert.equal(shown.status, 503);
  assert.match(shown.text, /Test ID does not answer sign-in requests: .*ECONNREFUSED/);
  assert.match(shown.text, /Sign in with a token in the meantime/);
  const { token } = await party.api.createToken({ body: { name: 'ann', role: 'viewer' } });
  assert.match(await browser.signIn(token), /^__Host-godwit=gds_/);
});

test('a provider that sends nothing is waited for until the deadline, and no longer', async (t) => {
  const { provider } = await scene(t);
  provider.hang();
  const asked = new Provider(provider.settings, () => 0, 0.05);
  const bound = { state: 's', nonce: 'n', verifier: 'v'.repeat(43) };
  await assert.rejects(asked.signInUrl(bound), {
    code: 'GODWIT_OIDC_DOWN',
    message: 'Test ID does not answer sign-in requests: not in time',
  });
});

test('a provider with an internal failure counts as one that is down', async (t) => {
  const { provider, person } = await scene(t);
  provider.fail();
  const shown = await person().ask(BEGIN);
  assert.equal(shown.status, 503);
  assert.match(shown.text, /Test ID does not answer sign-in requests: it answered with 502/);
});

test('a known provider that goes down during a sign-in is reported as down, too', async (t) => {
  const { provider, person } = await scene(t);
  const ann = person();
  const answer = await answerFor(ann, 'ann');
  await provider.close();
  const shown = await ann.ask(answer);
  assert.equal(shown.status, 503);
  assert.match(shown.text, /GODWIT_OIDC_DOWN/);
});
