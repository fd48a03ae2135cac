import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  candidates,
  configuredOf,
  kindsOf,
  targetsOf,
  whyNone,
} from '../../../src/network/probe/choose.ts';
import { probing } from '../../../src/protocol/peer/probe.ts';

const MAC = '52:54:00:00:00:21';

describe('probes of a guest', () => {
  test("a probe uses the configured addresses of the guest's name, and none for an unknown name", () => {
    const addresses = { web1: ['10.9.0.21'] };
    assert.deepEqual(configuredOf(addresses, 'web1'), ['10.9.0.21']);
    for (const name of ['web2', 'constructor', 'toString', '__proto__'])
      assert.deepEqual(configuredOf(addresses, name), []);
  });

  test("a probe uses the addresses known to the guest's host and this one, each once", () => {
    const nics = [
      { mac: MAC, addresses: ['10.9.0.21', '10.9.0.21', '127.0.0.1', '224.0.0.5', 'fd09::21'] },
      { mac: '52:54:00:00:00:22', addresses: [] },
    ];
    const neighbours = [
      { dst: '10.9.0.77', lladdr: MAC.toUpperCase() },
      { dst: '10.9.0.21', lladdr: MAC },
      { dst: '10.9.0.99', lladdr: '52:54:00:00:00:99' },
      { dst: '10.9.0.98' },
    ];
    assert.deepEqual(
      targetsOf(nics, neighbours).map(({ address, mac }) => `${address} ${mac}`),
      [`10.9.0.21 ${MAC}`, `fd09::21 ${MAC}`, `10.9.0.77 ${MAC}`],
    );
  });

  test('a guest is probed in its segment first, then over IP, and over HTTP only if a server is named', () => {
    assert.deepEqual(kindsOf(probing.parse({})), ['arp', 'icmp', 'tcp']);
    assert.deepEqual(kindsOf(probing.parse({ http: {} })), ['arp', 'icmp', 'tcp', 'http']);
    assert.deepEqual(kindsOf(probing.parse({ kind: 'tcp' })), ['tcp']);
  });

  test('a probe over IP never uses an address that means another machine on each link', () => {
    const targets = ['169.254.169.254', 'fe80::1', '10.9.0.21', '10.9.0.21'].map((address) => ({
      address,
      mac: MAC,
    }));
    for (const kind of ['icmp', 'tcp', 'http'] as const) {
      const all = candidates(kind, targets, probing.parse({ http: {} }));
      assert.deepEqual([...new Set(all.map(({ address }) => address))], ['10.9.0.21']);
    }
  });

  test('a guest is probed at each configured port', () => {
    const targets = [{ address: '10.9.0.21', mac: MAC }];
    const given = probing.parse({ ports: [9, 22], http: { port: 8080 } });
    const ports = (kind: 'tcp' | 'http'): (number | undefined)[] =>
      candidates(kind, targets, given).map(({ port }) => port);
    assert.deepEqual(ports('tcp'), [9, 22]);
    assert.deepEqual(ports('http'), [8080]);
  });

  test('a failed choice of probes is reported for each kind', () => {
    const failures = [
      { kind: 'arp', why: 'there is no bridge br0' },
      { kind: 'icmp', why: 'no answer' },
    ] as const;
    assert.equal(whyNone(failures), 'ARP: there is no bridge br0; ICMP: no answer');
    assert.ok(whyNone([]).length > 0);
  });
});
