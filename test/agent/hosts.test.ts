import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { storeCredentials } from '../../src/pki/authority.ts';
import { FLEET_FILE } from '../../src/host/fleet.ts';
import { client } from '../../src/rpc/client.ts';
import { agentContract, publicContract } from '../../src/protocol/contract.ts';
import { listWith, signed } from '../host/fleet-lists.ts';
import { authority, hello, serving } from '../rpc/test-contract.ts';
import { fleet, GIB, guest } from './samples.ts';

/** Who is called back by nobody here. */
const known = { a: { address: '127.0.0.1:1' } };

test('a host reports its identity and its resources', async (t) => {
  const { host } = await fleet(t);
  const { api } = await host('a', { guests: () => [guest('web1')] });
  const info = await api.host();
  assert.equal(info.name, 'a');
  assert.deepEqual(info.processor, { model: 'A processor', cores: 1, features: ['fpu', 'sse'] });
  assert.equal(info.memoryBytes, 16 * GIB);
  assert.equal(info.guests, 1);
  assert.deepEqual(info.migrations, { in: 0, out: 0 });
});

test('peers are listed with their inventory, or with the reason why they do not answer', async (t) => {
  const { host, certificate } = await fleet(t);
  const up = await host('up', { guests: () => [guest('db1', { host: 'up' })], peers: known });
  const other = await authority(t);
  const untrusted = await serving(t, await other.issue('untrusted', 'agent'));
  const old = await serving(t, await certificate('old', 'agent'), {
    handlers: { hello: () => ({ ...hello, versions: [99] }) },
  });
  const { api } = await host('a', {
    peers: {
      up: { address: up.agent.address },
      untrusted: { address: untrusted.address },
      old: { address: old.address },
      away: { address: '127.0.0.1:1' },
    },
  });
  const { hosts } = await api.hosts();
  assert.deepEqual(
    hosts.map(({ name, self, status }) => [name, self, status]),
    [
      ['a', true, 'up'],
      ['up', false, 'up'],
      ['untrusted', false, 'untrusted'],
      ['old', false, 'incompatible'],
      ['away', false, 'unreachable'],
    ],
  );
  assert.equal(hosts[1]?.info?.guests, 1);
  assert.match(hosts[3]?.reason ?? '', /speaks protocol 99/);
  assert.match(hosts[4]?.reason ?? '', /127\.0\.0\.1:1 .*nothing listens/);
});

test('the guests of this host, or of all answering hosts, are listed', async (t) => {
  const { host } = await fleet(t);
  const b = await host('b', { guests: () => [guest('db1', { host: 'b' })], peers: known });
  const { api } = await host('a', {
    guests: () => [guest('web1')],
    peers: { b: { address: b.agent.address }, away: { address: '127.0.0.1:1' } },
  });
  const names = async (scope: 'local' | 'all'): Promise<string[]> =>
    (await api.guests({ query: { scope } })).guests.map(({ name }) => name);
  assert.deepEqual(await names('local'), ['web1']);
  assert.deepEqual(await names('all'), ['web1', 'db1']);
});

test('lists of all hosts name the hosts that did not answer, and a host answers for itself alone', async (t) => {
  const { host } = await fleet(t);
  const b = await host('b', {
    guests: () => [guest('db1', { host: 'b' }), guest('web1', { host: 'a' })],
    peers: known,
  });
  const { api } = await host('a', {
    guests: () => [guest('web1')],
    peers: { b: { address: b.agent.address }, away: { address: '127.0.0.1:1' } },
  });
  const { guests, missing = [] } = await api.guests({ query: { scope: 'all' } });
  assert.deepEqual(
    guests.map(({ name, host: where }) => [name, where]),
    [
      ['web1', 'a'],
      ['db1', 'b'],
    ],
  );
  assert.deepEqual(
    missing.map(({ host: name }) => name),
    ['away'],
  );
  assert.match(missing[0]?.why ?? '', /127\.0\.0\.1:1 .*nothing listens/);
  const named = await api.guests({ query: { scope: 'all', name: 'db1' } });
  assert.deepEqual([named.guests.length, named.missing?.length], [1, 1]);
  const { id } = await api.migrate({ body: { guest: 'web1', to: 'b' } });
  const seen = await b.api.migrations({ query: { scope: 'all' } });
  assert.deepEqual(seen, { migrations: [], missing: [{ host: 'a', why: seen.missing?.[0]?.why }] });
  const all = await api.migrations({ query: { scope: 'all' } });
  assert.deepEqual(
    [all.migrations.map((each) => each.id), all.missing?.map((each) => each.host)],
    [[id], ['away']],
  );
});

test('a list is divided into pages, each with the cursor of the next', async (t) => {
  const { host } = await fleet(t);
  const names = ['web1', 'web2', 'web3'];
  const { api } = await host('a', { guests: () => names.map((name) => guest(name)) });
  const first = await api.guests({ query: { limit: 2 } });
  assert.equal(first.guests.length, 2);
  assert.ok(first.observedAt !== undefined && first.next !== undefined);
  const second = await api.guests({ query: { limit: 2, cursor: first.next } });
  assert.deepEqual([second.guests.map(({ name }) => name), second.next], [['web3'], undefined]);
  await assert.rejects(api.migrations({ query: { cursor: 'bm9uZQ' } }), {
    code: 'GODWIT_PROTOCOL_INVALID',
  });
});

test('a guest that is migrating is listed with its migration', async (t) => {
  const { host } = await fleet(t);
  const peers = { b: { address: '127.0.0.1:1' } };
  const { api } = await host('a', { guests: () => [guest('web1')], peers });
  const { id } = await api.migrate({ body: { guest: 'web1', to: 'b' } });
  assert.equal((await api.guest({ params: { guest: 'web1' } })).migration, id);
  assert.deepEqual((await api.host()).migrations, { in: 0, out: 1 });
});

test('an agent does not start with the certificate of another host', async (t) => {
  const { host, certificate } = await fleet(t);
  const a = await host('a');
  storeCredentials(path.join(a.config.stateDir, 'pki'), await certificate('b', 'agent'));
  await assert.rejects(a.again(), { code: 'GODWIT_CONFIG', message: /is for b \(agent\)/ });
});

test('a second agent does not take the socket of a living one', async (t) => {
  const { host } = await fleet(t);
  await host('a');
  await assert.rejects(host('a'), {
    code: 'GODWIT_CONFIG',
    message: /, process \d+, serves this socket/,
  });
});

test('the OpenAPI document lists every public route', async (t) => {
  const { host, certificate } = await fleet(t);
  const a = await host('a');
  const remote = client(agentContract, {
    address: a.agent.address,
    credentials: { ca: (await certificate('x', 'viewer')).ca },
    expectedName: 'a',
  });
  t.after(() => remote.close());
  const { paths } = (await remote.api.openapi()) as { paths: Record<string, object> };
  const reported = Object.entries(paths).flatMap(([place, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${place}`),
  );
  const routes = Object.values(publicContract).map(
    ({ method, path: place }) => `${method} ${place.replaceAll(/:(\w+)/g, '{$1}')}`,
  );
  assert.deepEqual(reported.toSorted(), routes.toSorted());
});

test('a host in no list and no configuration has no access, even on a connection that was already open', async (t) => {
  const { host, as, caDir } = await fleet(t);
  const a = await host('a', { peers: { b: { address: '127.0.0.1:1' } } });
  const b = await as('b', 'agent', a);
  assert.equal((await b.host()).name, 'a');
  const file = path.join(a.config.stateDir, FLEET_FILE);
  const list = listWith({ removed: ['b'] });
  writeFileSync(file, JSON.stringify(signed(caDir, list)));
  const calls = Object.keys(agentContract) as (keyof typeof agentContract)[];
  for (const key of calls.filter((each) => agentContract[each].access !== 'anyone')) {
    const call = b[key] as (input: object) => unknown;
    const input = { params: {}, query: {}, body: {} };
    const answer = agentContract[key].stream
      ? Array.fromAsync(call(input) as AsyncIterable<unknown>)
      : call(input);
    await assert.rejects(Promise.resolve(answer), { code: 'GODWIT_NOT_A_MEMBER' }, key);
  }
});
