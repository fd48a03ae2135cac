import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { fakeWorld } from '../../../sim/fake/driver.ts';
import type { FakeGuest } from '../../../sim/fake/instance.ts';
import type { CheckedHost } from '../../../src/protocol/public/check.ts';
import type { DiscoveredGuest } from '../../../src/port/inventory.ts';
import { methodsOf } from '../fake-fleet.ts';
import { fleet, GIB, type HostOptions } from '../samples.ts';
import { untilSo } from '../../until.ts';
import { admissionOf } from '../../protocol/peer/admission.ts';

const MEMORY = 64 * 1024 ** 2;

/** Host a with one guest, and hosts b and c that it may go to. */
async function world(t: TestContext, guest: Partial<FakeGuest> = {}, options: HostOptions = {}) {
  const { host, as } = await fleet(t);
  const machines = { machines: ['fake-1'], bridges: ['br0'] };
  const made = fakeWorld({
    clock: systemClock,
    linkRate: 2 ** 30,
    hosts: { a: machines, b: machines, c: { machines: ['fake-0'], bridges: ['br0'] } },
  });
  const instance = made.boot({
    name: 'web1',
    host: 'a',
    memoryBytes: MEMORY,
    dirtyRate: 0,
    ...guest,
  });
  const peers = { a: { address: '127.0.0.1:1' } };
  const driver = { ...methodsOf(made.driver('b')), ...options.driver };
  const b = await host('b', { peers, ...options, driver });
  const c = await host('c', { peers, driver: methodsOf(made.driver('c')) });
  const addresses = { b: { address: b.agent.address }, c: { address: c.agent.address } };
  const a = await host('a', { peers: addresses, driver: methodsOf(made.driver('a')) });
  return { a, b, c, as, made, instance };
}

const refusals = ({ checks }: CheckedHost): [string, string | undefined][] =>
  checks.flatMap(({ name, verdict, error }) => (verdict === 'refuse' ? [[name, error?.code]] : []));

test('a guest that can move passes every check, in their order, and nothing is begun on either host', async (t) => {
  const { a, b, instance } = await world(t);
  const before = [a, b].map(({ config }) => globSync('**', { cwd: config.stateDir }).toSorted());
  const answer = await a.api.check({ body: { guest: 'web1', to: 'b' } });
  const [host] = answer.hosts;
  assert.equal(host?.verdict, 'pass', JSON.stringify(host?.checks));
  assert.deepEqual(
    host?.checks.map(({ name }) => name),
    (
      'busy outgoing guest capabilities limits workload destination open incoming name routes memory ports clock round-trip link nested versions ' +
      'certificates journal hooks stream machine'
    ).split(' '),
  );
  for (const each of [a, b]) {
    assert.deepEqual((await each.api.migrations()).migrations, []);
    assert.deepEqual(each.movers.started, []);
  }
  const after = [a, b].map(({ config }) => globSync('**', { cwd: config.stateDir }).toSorted());
  assert.deepEqual(after, before);
  assert.equal(instance.run, 'running');
});

test('a guest that may move by post-copy causes a warning about a single link, unless a second path is named', async (t) => {
  const { a } = await world(t);
  const verdicts = async (request: { mode: 'hybrid'; pathAddresses?: string[] }) => {
    const { hosts } = await a.api.check({ body: { guest: 'web1', to: 'b', ...request } });
    return hosts.flatMap(({ checks }) =>
      checks.flatMap(({ name, verdict }) => (name === 'second-path' ? [verdict] : [])),
    );
  };
  assert.deepEqual(await verdicts({ mode: 'hybrid' }), ['warn']);
  assert.deepEqual(await verdicts({ mode: 'hybrid', pathAddresses: ['127.0.0.2'] }), ['pass']);
});

test('all objections to a destination are reported at once, on both sides', async (t) => {
  const { a } = await world(
    t,
    { machine: 'fake-2', unmovable: ['gpu0'] },
    { availableBytes: 1024 },
  );
  const { hosts } = await a.api.check({ body: { guest: 'web1', to: 'b' } });
  assert.deepEqual(hosts.map(refusals), [
    [
      ['memory', 'GODWIT_MEMORY_SHORT'],
      ['devices', 'GODWIT_DEVICE_UNMOVABLE'],
      ['machine', 'GODWIT_MACHINE_TYPE'],
    ],
  ]);
});

test('every peer is checked if none is named, and the best comes first', async (t) => {
  const { a } = await world(t);
  const { from, hosts } = await a.api.check({ body: { guest: 'web1' } });
  assert.equal(from, 'a');
  assert.deepEqual(
    hosts.map((host) => [host.to, refusals(host)]),
    [
      ['b', []],
      ['c', [['machine', 'GODWIT_MACHINE_TYPE']]],
    ],
  );
});

test('a destination that does not answer is a refusal, and the guest is still examined', async (t) => {
  const { a, b } = await world(t, { unmovable: ['gpu0'] });
  await b.agent.close();
  const { hosts } = await a.api.check({ body: { guest: 'web1', to: 'b' } });
  assert.deepEqual(hosts.map(refusals), [
    [
      ['destination', 'GODWIT_UNREACHABLE'],
      ['devices', 'GODWIT_DEVICE_UNMOVABLE'],
    ],
  ]);
});

test('a guest that must not be touched gets no question', async (t) => {
  const { a, made, instance } = await world(t);
  instance.run = 'paused';
  const { hosts } = await a.api.check({ body: { guest: 'web1', to: 'b' } });
  assert.deepEqual(hosts.map(refusals), [[['guest', 'GODWIT_GUEST_STATE']]]);
  assert.equal(made.calls.includes('driver.openSource'), false);
});

test('a dry run ends as the migration would: with its checks, or with the first refusal', async (t) => {
  const { a } = await world(t);
  const put = (to: string) =>
    a.api.putMigration({
      params: { id: 'm-00000001' },
      query: { dryRun: 'true' },
      body: { guest: 'web1', to },
    });
  const { started, checks = [] } = await put('b');
  assert.equal(started, false);
  assert.ok(checks.length > 5);
  await assert.rejects(put('c'), { code: 'GODWIT_MACHINE_TYPE' });
  await assert.rejects(put('nobody'), { code: 'GODWIT_HOST_UNKNOWN' });
  assert.deepEqual((await a.api.migrations()).migrations, []);
});

test('a viewer may not request a check, because it questions hypervisors', async (t) => {
  const { a, as } = await world(t);
  const viewer = await as('someone', 'viewer', a);
  const asked = viewer.check({ body: { guest: 'web1', to: 'b' } });
  await assert.rejects(asked, { code: 'GODWIT_ROLE_FORBIDDEN' });
});

const admission = admissionOf({ id: 'c-0000000000000001', guest: 'web2', memoryBytes: GIB });

test('a host asks about its own guests alone, and at a limited rate', async (t) => {
  // Its driver answers when it is let: until then no question ends.
  const { promise: letOn, resolve: letAnswer } = Promise.withResolvers<void>();
  let isHeld = false;
  const discover = async (): Promise<DiscoveredGuest[]> => {
    if (isHeld) await letOn;
    return [];
  };
  const { b, as } = await world(t, {}, { driver: { discover } });
  const api = await as('c', 'agent', b).catch(() => undefined);
  const stranger = api?.preflight({ body: { admission, ports: 1 } });
  await assert.rejects(stranger ?? Promise.reject(new Error('not let in')));
  const own = await as('a', 'agent', b);
  isHeld = true;
  const codes: string[] = [];
  const all = Array.from({ length: 40 }, () =>
    own.preflight({ body: { admission, ports: 1 } }).then(
      () => codes.push('answered'),
      ({ code }: { code: string }) => codes.push(code),
    ),
  );
  await untilSo(() => codes.length === 36);
  assert.deepEqual(new Set(codes), new Set(['GODWIT_OVERLOADED']));
  letAnswer();
  await Promise.all(all);
  assert.deepEqual(codes.slice(36), ['answered', 'answered', 'answered', 'answered']);
});
