import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseControllerConfig, withDatabase } from '../../src/controller/config.ts';
import { hasCode } from '../../src/errors.ts';

const GOOD = { name: 'control', address: '10.0.0.9:7444', stateDir: '/var/lib/godwit-controller' };

function refusal(text: string): string {
  try {
    parseControllerConfig('c.json', text);
  } catch (thrown) {
    if (hasCode(thrown, 'GODWIT_CONFIG')) return thrown.message;
    throw thrown;
  }
  return 'it was taken';
}

const withPostgres = (postgres: object): string =>
  JSON.stringify({ ...GOOD, database: { postgres } }, undefined, 1);

test('a short configuration is complete', () => {
  const config = parseControllerConfig('c.json', JSON.stringify(GOOD));
  const history = { days: 90, most: 50_000 };
  const sites = { sites: {}, siteLinks: [] };
  assert.deepEqual(config, {
    ...GOOD,
    hosts: {},
    programs: {},
    health: { policy: 'propose', failingMs: 300_000, wellMs: 3_600_000, mostDrained: 1 },
    history,
    audit: { days: 365, most: 200_000 },
    policies: { lookMs: 300_000 },
    recover: { policy: 'off', silentMs: 60_000 },
    ...sites,
    logLevel: 'info',
  });
});

test('mistakes in the configuration are reported with their lines', () => {
  const text = '{\n "name": "control",\n "address": "10.0.0.9",\n "stateDir": "/s"\n}';
  assert.match(refusal(text), /^c\.json: line 3, column 13: `address`: /);
  assert.match(refusal('{\n "name": \n}'), /^c\.json: is not JSON: line 3/);
  assert.match(
    refusal('{\n "name": "a", \n "color": 1\n}'),
    /line 1, column 1: `address`.*line 3, column 2: `color` is no setting/s,
  );
});

test('two hosts of one name are refused, and neither of them is followed', () => {
  const hosts = '{ "a": { "address": "10.0.0.1:7443" }, "a": { "address": "10.0.0.2:7443" } }';
  const text = JSON.stringify(GOOD).replace('{', `{ "hosts": ${hosts}, `);
  assert.match(refusal(text), /^c\.json: line 1, column \d+: `hosts\.a` is there twice$/);
});

test('a password in the URL of PostgreSQL is refused, and the refusal does not contain it', () => {
  const words = refusal(withPostgres({ url: 'postgres://godwit:tulip@127.0.0.1/fleet' }));
  assert.match(words, /^c\.json: line \d+, .*password/s);
  assert.doesNotMatch(words, /tulip/);
});

test('a PostgreSQL on another host needs the CA that proves it', () => {
  assert.match(refusal(withPostgres({ url: 'postgres://g@10.0.0.7/fleet' })), /caFile is missing/);
  for (const host of ['127.0.0.1', 'localhost', '[::1]', '%2Frun%2Fpostgresql'])
    assert.equal(refusal(withPostgres({ url: `postgres://g@${host}/fleet` })), 'it was taken');
  const tls = { url: 'postgres://g@10.0.0.7/fleet', caFile: '/ca.pem' };
  assert.equal(refusal(withPostgres(tls)), 'it was taken');
});

test('a command line may name a file of SQLite, and not a server', () => {
  const config = parseControllerConfig('c.json', JSON.stringify(GOOD));
  assert.deepEqual(withDatabase(config, 'sqlite:/x/y.db').database, { sqlite: '/x/y.db' });
  for (const each of ['postgres://g:tulip@h/d', 'postgresql://h/d', '/x/y.db', 'sqlite:']) {
    assert.throws(
      () => withDatabase(config, each),
      (thrown) => hasCode(thrown, 'GODWIT_USAGE') && !/tulip/.test(JSON.stringify(thrown)),
    );
  }
});

test('a provider is given completely: over TLS, with the redirect address and a value that has a role', () => {
  const oidc = {
    name: 'ID',
    issuer: 'https://id.example.org/realms/staff',
    clientId: 'godwit',
    clientSecretFile: '/etc/godwit/secret',
    redirectUrl: 'https://godwit.example.org/v1/session/oidc/callback',
    roles: { claim: 'groups', values: { staff: 'viewer' } },
  };
  const textOf = (more: object): string =>
    JSON.stringify({ ...GOOD, web: { address: '10.0.0.9:7445', oidc: { ...oidc, ...more } } });
  const { web } = parseControllerConfig('c.json', textOf({}));
  const { sessionHours, scopes, nameClaim } = web?.oidc ?? {};
  assert.deepEqual([sessionHours, scopes, nameClaim], [12, ['profile'], 'preferred_username']);
  const wrong: readonly [object, RegExp][] = [
    [{ issuer: 'http://id.example.org' }, /`web\.oidc\.issuer`: not https/],
    [
      { redirectUrl: 'https://godwit.example.org/elsewhere' },
      /`web\.oidc\.redirectUrl`: not https/,
    ],
    [{ redirectUrl: 'http://godwit.example.org/v1/session/oidc/callback' }, /redirectUrl/],
    [{ roles: { claim: 'groups', values: {} } }, /no value has a role/],
    [
      { roles: { claim: 'groups', values: { staff: 'root' } } },
      /`web\.oidc\.roles\.values\.staff`/,
    ],
    [{ clientSecret: 'tulip' }, /`web\.oidc\.clientSecret` is no setting/],
  ];
  for (const [more, words] of wrong) assert.match(refusal(textOf(more)), words);
});

test("the interval between two looks at the guests' load is between ten seconds and five minutes", () => {
  const textOf = (lookMs: number): string => JSON.stringify({ ...GOOD, policies: { lookMs } });
  assert.equal(parseControllerConfig('c.json', JSON.stringify(GOOD)).policies.lookMs, 300_000);
  assert.equal(parseControllerConfig('c.json', textOf(10_000)).policies.lookMs, 10_000);
  for (const lookMs of [9999, 300_001, 20_000.5])
    assert.match(refusal(textOf(lookMs)), /`policies\.lookMs`/);
});
