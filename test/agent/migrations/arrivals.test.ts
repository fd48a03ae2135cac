import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { arrivalSeen, placesOf } from '../../../src/agent/migrations/arrivals.ts';
import { agentConfig } from '../../../src/config.ts';
import type { ArrivedGuest, ManagedDriver } from '../../../src/port/managed.ts';
import type { Driver } from '../../../src/drivers/registry.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const A = { role: 'agent', name: 'a' } as const;
const asked = { id: 'm-11111111', guest: 'web1', from: 'a', driver: 'manager' };

/** A host whose manager has that guest by that migration; `writers`: of its one disk. */
function hostB(t: TestContext, writers: readonly string[]) {
  const file = path.join(tempDir(t), 'a.raw');
  writeFileSync(file, '');
  const state: { arrived: ArrivedGuest | undefined } = {
    arrived: { written: { files: [file], remote: 0 }, nics: [] },
  };
  const manager = {
    name: 'manager',
    capabilities: { shape: 'managed' },
    arrived: async ({ id }: { id: string }) => (id === asked.id ? state.arrived : undefined),
  } as unknown as ManagedDriver;
  const looker = {
    name: 'looker',
    capabilities: { shape: 'direct' },
    diskWriters: async (files: readonly string[]) => files.map(() => writers),
  } as unknown as Driver;
  const config = agentConfig.parse({ name: 'b', address: '127.0.0.1:1', stateDir: '/s' });
  const peers = {
    names: () => ['a'],
    address: (name: string) => (name === 'a' ? 'a:1' : undefined),
  };
  const deps = { config, peers, drivers: [manager, looker], addressesOf: () => [] };
  const see = async (
    of: Partial<typeof asked> = {},
    caller: { role: 'agent'; name: string } = A,
  ) => {
    const signal = AbortSignal.timeout(10_000);
    const { checks } = await arrivalSeen(deps, { ...asked, ...of }, caller, signal);
    return Object.fromEntries(
      checks.map(({ name, verdict, notTried, evidence }) => [
        name,
        `${notTried === true ? 'not tried' : verdict}: ${evidence}`,
      ]),
    );
  };
  return { see, state, file };
}

describe('arrivals under a manager', () => {
  test('an arrival needs exactly one hypervisor that writes to the disks; two or none leave it in doubt', async (t) => {
    const { see, file } = hostB(t, ['web1 (process 7)']);
    const found = await see();
    assert.equal(found['disks'], `pass: at b one hypervisor alone may write to ${file}`);
    assert.match(found['segment'] ?? '', /^not tried: .*no NIC in a Linux bridge/);
    const two = await hostB(t, ['web1 (process 7)', 'other (process 8)']).see();
    assert.match(two['disks'] ?? '', /^warn: at b web1 .* and other .* write to/);
    assert.match((await hostB(t, []).see())['disks'] ?? '', /^warn: at b nobody has .* open/);
  });

  test('an arrival is not examined if the manager names no file, or a file that this agent cannot see', async (t) => {
    const { see, state } = hostB(t, ['web1 (process 7)']);
    state.arrived = { written: undefined, nics: [] };
    assert.match((await see())['disks'] ?? '', /^not tried: .*does not know which files/);
    state.arrived = { written: { files: ['/nowhere/a.raw'], remote: 0 }, nics: [] };
    assert.match((await see())['disks'] ?? '', /^not tried: .*does not see \/nowhere\/a.raw/);
  });

  test('an arrival is shown only to the host that moved the guest, by its migration', async (t) => {
    const { see } = hostB(t, ['web1 (process 7)']);
    await assert.rejects(see({ id: 'm-22222222' }), { code: 'GODWIT_MIGRATION_UNKNOWN' });
    await assert.rejects(see({}, { role: 'agent', name: 'c' }), { code: 'GODWIT_ROLE_FORBIDDEN' });
    await assert.rejects(see({ driver: 'looker' }), { code: 'GODWIT_CAPABILITY' });
  });
});

test("a guest is probed in this host's bridges, by a configured address only if it has a single NIC", () => {
  const link = (ifname: string, kind?: string) =>
    ({ ifname, mtu: 1500, ...(kind === undefined ? {} : { kind }) }) as Parameters<
      typeof placesOf
    >[2]['links'][number];
  const links = [link('br0', 'bridge'), link('eth0')];
  const nic = (id: string, bridge?: string) => ({
    id,
    mac: '52:54:00:00:00:0A',
    ...(bridge === undefined ? {} : { bridge }),
  });
  const one = placesOf([nic('n0', 'br0')], ['10.9.0.5'], { links });
  assert.ok(typeof one !== 'string');
  assert.deepEqual(
    one.networks.map(({ mac, addresses }) => [mac, addresses]),
    [['52:54:00:00:00:0a', ['10.9.0.5']]],
  );
  assert.deepEqual(one.landings.get('n0'), { kind: 'bridge', bridge: 'br0', mtu: 1500 });
  const two = placesOf([nic('n0', 'br0'), nic('n1', 'br0')], ['10.9.0.5'], { links });
  assert.ok(typeof two !== 'string');
  assert.deepEqual(
    two.networks.map(({ addresses }) => addresses),
    [[], []],
  );
  for (const bridge of ['eth0', 'br9', undefined])
    assert.equal(typeof placesOf([nic('n0', bridge)], [], { links }), 'string');
});
