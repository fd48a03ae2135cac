import assert from 'node:assert/strict';
import { test } from 'node:test';
import { announceNics } from '../../../../src/drivers/criu/host/network.ts';
import type { Nic } from '../../../../src/drivers/criu/spec.ts';

const NIC: Nic = {
  name: 'eth0',
  mac: '52:54:00:00:00:01',
  mtu: 1500,
  bridge: 'br0',
  addresses: ['192.0.2.1/24'],
  routes: [],
};

test('a container is announced five times, because one announcement may be lost', async () => {
  const ran: string[] = [];
  const run = async (argv: readonly string[]): Promise<string> => {
    ran.push(argv.join(' '));
    return '';
  };
  await announceNics(run, 42, [NIC, { ...NIC, name: 'eth1' }], AbortSignal.timeout(60_000));
  const set = (name: string) => `nsenter -t 42 -n ip link set ${name} address 52:54:00:00:00:01`;
  assert.deepEqual(ran, Array.from({ length: 5 }, () => [set('eth0'), set('eth1')]).flat());
});

test('an announcement ends with its signal', async () => {
  const stop = new AbortController();
  const run = async (): Promise<string> => {
    stop.abort(new Error('enough'));
    return '';
  };
  await assert.rejects(announceNics(run, 42, [NIC], stop.signal));
});
