import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostInventory } from '../../../src/agent/host/inventory.ts';
import type { Clock } from '../../../src/clock.ts';
import type { Driver } from '../../../src/drivers/registry.ts';

const settled = () => new Promise(setImmediate);

test('the reason why a host takes no guest is fetched apart from the answer and stands until the next check', async () => {
  let now = 0;
  let reason: string | undefined = 'it gives less than the baseline';
  let asked = 0;
  const clock: Clock = { wallMs: () => now, monotonicMs: () => now, sleep: async () => undefined };
  const driver = {
    hypervisors: async () => [],
    whyClosed: async () => {
      asked += 1;
      if (asked === 2) throw new Error('a hypervisor that does not start');
      return reason;
    },
  } as unknown as Driver;
  const reader = {
    proc: async (file: string) =>
      file === 'meminfo' ? 'MemTotal: 1024 kB\nMemAvailable: 512 kB\n' : 'processor : 0\n',
    links: async () => '[]',
  };
  const inventory = new HostInventory([driver], clock, reader);
  // The first answer does not wait for it.
  assert.equal((await inventory.machine()).closed, undefined);
  await settled();
  assert.equal((await inventory.machine()).closed, reason);
  assert.equal(asked, 1);
  // One that fails takes nothing back.
  now += 61_000;
  await inventory.machine();
  await settled();
  assert.equal((await inventory.machine()).closed, 'it gives less than the baseline');
  now += 61_000;
  reason = undefined;
  await inventory.machine();
  await settled();
  assert.equal((await inventory.machine()).closed, undefined);
  assert.equal(asked, 3);
});
