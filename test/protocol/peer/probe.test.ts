import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { agentConfig } from '../../../src/config.ts';
import { report } from '../../../src/protocol/public/migration.ts';
import { destinationStatus } from '../../../src/protocol/peer/migration.ts';
import { probing, watchOrder, watchResult } from '../../../src/protocol/peer/probe.ts';
import { probeReport } from '../../../src/protocol/public/probe.ts';

const NIC = {
  id: 'net0',
  mac: '52:54:00:00:00:21',
  port: 'tap0',
  addresses: ['10.9.0.21'],
  attachment: { kind: 'bridge', bridge: 'br0', mtu: 1500 },
};
const ORDER = {
  id: 'm-12345678',
  guest: 'web1',
  nics: [NIC],
  probing: { kind: 'auto', ports: [9] },
  leaseMs: 20_000,
};

describe('watches between hosts', () => {
  test('watches between hosts accept fields of later builds', () => {
    const later = { ...ORDER, more: 1, probing: { ...ORDER.probing, more: 2 } };
    assert.deepEqual(watchOrder.parse(later), { ...ORDER, probing: probing.parse({}) });
    assert.deepEqual(watchResult.parse({ notTried: 'why', more: 1 }), { notTried: 'why' });
    assert.deepEqual(probeReport.parse({ host: 'c', more: 1 }), { host: 'c' });
  });

  test('watches between hosts are bounded in time, in addresses and in their questions', () => {
    const wrong = [
      { leaseMs: 3_600_000 },
      { probing: { kind: 'auto', ports: Array.from({ length: 5 }, (_, at) => at + 1) } },
      { probing: { kind: 'ssh', ports: [22] } },
      { nics: [{ ...NIC, addresses: ['10.9.0.21; id'] }] },
      { probing: { kind: 'http', ports: [9], http: { port: 80, path: '/ HTTP/1.1\r\nx: y' } } },
    ];
    for (const each of wrong)
      assert.equal(
        watchOrder.safeParse({ ...ORDER, ...each }).success,
        false,
        JSON.stringify(each),
      );
  });

  test('watches between hosts are not required from an earlier build', () => {
    const { firstFrameMs, ...shape } = destinationStatus.shape;
    assert.equal(firstFrameMs.isOptional(), true);
    assert.ok('hypervisor' in shape);
    assert.equal(report.shape.vantages.isOptional(), true);
    assert.equal(report.shape.firstFrameMs.isOptional(), true);
  });

  test('watches between hosts are configured under network, with defaults, and can be turned off', () => {
    const own = { name: 'a', address: '10.0.0.1:7443', stateDir: '/var/lib/godwit' };
    assert.deepEqual(agentConfig.parse(own).network.probe, {
      kind: 'auto',
      ports: [9],
      addresses: {},
      laterMs: 600_000,
    });
    const off = agentConfig.parse({ ...own, network: { probe: 'off' } });
    assert.equal(off.network.probe, 'off');
    const wrong = { ...own, network: { probe: { port: 22 } } };
    assert.equal(agentConfig.safeParse(wrong).success, false);
  });
});
