import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import { fakeWorld } from '../../src/drivers/registry.ts';
import type { DirectDriver } from '../../src/drivers/port/direct.ts';
import { hasCode } from '../../src/errors.ts';
import { fleet } from '../agent/samples.ts';
import { until } from '../until.ts';
import { controllerOf } from './test-controller.ts';

const MIB = 1024 ** 2;

/** The methods of a driver as options of a test's host, which spreads them. */
function methodsOf(driver: DirectDriver): Partial<DirectDriver> {
  return {
    capabilities: driver.capabilities,
    discover: (options, signal) => driver.discover(options, signal),
    life: (handle) => driver.life(handle),
    openSource: (handle, signal) => driver.openSource(handle, signal),
    openDestination: (options) => driver.openDestination(options),
  };
}

async function followed(t: TestContext) {
  const { host, caDir } = await fleet(t);
  const machines = { machines: ['fake-1'], bridges: ['br0'] };
  const world = await fakeWorld({
    clock: systemClock,
    linkRate: 2 ** 30,
    hosts: { a: machines, b: machines },
  });
  const instance = world.boot({ name: 'web1', host: 'a', memoryBytes: 64 * MIB, dirtyRate: MIB });
  const b = await host('b', {
    peers: { a: { address: '127.0.0.1:1' } },
    driver: methodsOf(world.driver('b')),
  });
  const a = await host('a', {
    peers: { b: { address: b.agent.address } },
    driver: methodsOf(world.driver('a')),
  });
  const hosts = {
    a: { address: a.agent.address, addresses: [] },
    b: { address: b.agent.address, addresses: [] },
  };
  const { api } = await controllerOf(t, caDir, { hosts });
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

test('a plan of a guest that no host has is refused, and so is one to where it is already', async (t) => {
  const { api } = await followed(t);
  const refused = (body: { guest: string; to: string }, code: Parameters<typeof hasCode>[1]) =>
    assert.rejects(api.plan({ body }), (thrown) => hasCode(thrown, code));
  await refused({ guest: 'web9', to: 'b' }, 'GODWIT_GUEST_UNKNOWN');
  await refused({ guest: 'web1', to: 'a' }, 'GODWIT_SAME_HOST');
});
