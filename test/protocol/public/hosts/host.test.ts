import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  guestInfo,
  guestRunState,
  hostEntry,
  hostInfo,
  hypervisorInfo,
} from '../../../../src/protocol/public/hosts/host.ts';
import { testThroughJson } from '../../through-json.ts';

testThroughJson({ hostInfo, hostEntry, guestInfo, hypervisorInfo });

describe('a guest', () => {
  const least = { name: 'web1', host: 'a', driver: 'qemu', state: 'running' };

  test('a guest needs no more than a name, a host, a driver and a state', () => {
    const { nics, devices, unmovable } = guestInfo.parse(least);
    assert.deepEqual([nics, devices, unmovable], [[], [], []]);
  });

  test('a guest with more parts than possible is refused', () => {
    const nic = { id: 'n', mac: '52:54:00:00:00:01' };
    assert.equal(guestInfo.safeParse({ ...least, nics: Array(65).fill(nic) }).success, false);
    const device = { id: 'd', type: 'pci' };
    assert.equal(
      guestInfo.safeParse({ ...least, devices: Array(1025).fill(device) }).success,
      false,
    );
    assert.equal(guestInfo.safeParse({ ...least, name: '../etc' }).success, false);
  });

  test('a guest in an unknown state is refused', () => {
    assert.ok(guestRunState.options.includes('unknown'));
    assert.equal(guestInfo.safeParse({ ...least, state: 'asleep' }).success, false);
  });
});

test('counts of processors that a database stores in 32 bits are bounded', () => {
  const least = { name: 'web1', host: 'a', driver: 'qemu', state: 'running' };
  for (const vcpus of [-1, 1.5, 2 ** 31])
    assert.equal(guestInfo.safeParse({ ...least, vcpus }).success, false, String(vcpus));
  assert.equal(guestInfo.parse({ ...least, vcpus: 64 }).vcpus, 64);
});
