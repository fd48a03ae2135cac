import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { hasCode } from '../../src/errors.ts';
import { twoFakeHosts } from '../agent/fake-fleet.ts';
import { until } from '../until.ts';
import { controllerOf } from './test-controller.ts';

const MIB = 1024 ** 2;

async function followed(t: TestContext) {
  const { a, b, caDir, instance } = await twoFakeHosts(t);
  const hosts = {
    a: { address: a.agent.address, addresses: [] },
    b: { address: b.agent.address, addresses: [] },
  };
  const { api } = await controllerOf(t, caDir, {
    hosts,
    sites: { s1: { networks: [] }, s2: { networks: [] } },
    siteLinks: [{ between: ['s1', 's2'], bytesPerS: 12_500_000, roundTripMs: 50, costPerGb: 0 }],
  });
  await until('the guest to be known', 20_000, async () => {
    const { guests } = await api.guests();
    return guests.length === 1 ? true : undefined;
  });
  return { api, instance };
}

test('a controller plans a move in every mode by asking the host of the guest, and begins nothing', async (t) => {
  const { api, instance } = await followed(t);
  const answer = await api.plan({ body: { guest: 'web1', to: 'b', compare: true } });
  assert.deepEqual([answer.guest, answer.from, answer.host.to], ['web1', 'a', 'b']);
  assert.equal(answer.prediction?.mode, 'precopy');
  const modes = new Set(answer.others?.map(({ mode }) => mode));
  assert.ok(modes.has('hybrid') && modes.has('postcopy'));
  assert.equal(instance.run, 'running');
  assert.deepEqual((await api.migrations()).migrations, []);
});

test('a plan of a guest that no host has is refused, and so is one to its present host', async (t) => {
  const { api } = await followed(t);
  const refused = (body: { guest: string; to: string }, code: Parameters<typeof hasCode>[1]) =>
    assert.rejects(api.plan({ body }), (thrown) => hasCode(thrown, code));
  await refused({ guest: 'web9', to: 'b' }, 'GODWIT_GUEST_UNKNOWN');
  await refused({ guest: 'web1', to: 'a' }, 'GODWIT_SAME_HOST');
});

test("the plan of a site's evacuation counts the bytes that the guest's own host predicts, and the request keeps them", async (t) => {
  const { api } = await followed(t);
  const answer = await api.plan({ body: { guest: 'web1', to: 'b', mode: 'precopy' } });
  const predicted = Math.ceil(answer.prediction?.bytes.middle ?? 0);
  assert.ok(predicted > 0 && predicted !== 64 * MIB, String(predicted));
  const body = {
    kind: 'evacuate' as const,
    hosts: ['a'],
    to: ['b'],
    sites: { from: 's1', to: 's2' },
  };
  const params = { id: 'r-00000001' };
  const { plan } = await api.putRequest({ params, query: { dryRun: 'true' }, body });
  assert.deepEqual(
    plan.steps.map(({ guest, how, bytes }) => [guest, how, bytes]),
    [['web1', 'precopy', predicted]],
  );
  await api.putRequest({ params, query: {}, body });
  const { request } = await api.request({ params });
  assert.equal(request.sizes?.['web1']?.precopyBytes, predicted);
});
