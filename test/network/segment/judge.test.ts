import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseAddresses, parseNeighbours, parseRoutes } from '../../../src/network/facts.ts';
import { isSettled, judgeSegment, toAsk } from '../../../src/network/segment/judge.ts';
import type { NicNetwork } from '../../../src/protocol/network.ts';
import { hostFacts, MAC } from '../host-facts.ts';

const ROUTER = '02:00:00:00:00:fe';
const STRANGER = '52:54:00:00:00:99';

function nic(addresses: string[]): NicNetwork {
  const attachment = { kind: 'bridge', bridge: 'br0', mtu: 1500 } as const;
  return { id: 'net0', mac: MAC, port: 'tap0', addresses, attachment };
}

const held = (local: string, prefixlen: number) => ({ local, prefixlen });
const facts = hostFacts({
  addresses: parseAddresses(
    JSON.stringify([
      { ifname: 'br0', addr_info: [held('10.88.0.2', 24), held('fd88::2', 64)] },
      { ifname: 'br1', addr_info: [held('10.99.0.2', 24)] },
    ]),
  ),
  routes: parseRoutes(
    JSON.stringify([
      { dst: 'default', gateway: '10.88.0.1', dev: 'br0' },
      { dst: 'default', gateway: 'fe80::1', dev: 'br0' },
      { dst: 'default', gateway: '10.99.0.1', dev: 'br1' },
      { dst: '10.88.0.0/24', dev: 'br0' },
    ]),
  ),
  neighbours: parseNeighbours(
    JSON.stringify([{ dst: '10.88.0.22', dev: 'br0', lladdr: MAC.toUpperCase() }, { dst: '::' }]),
  ),
});

describe('questions to a segment', () => {
  test('a segment is asked for the addresses of the guest known to either host, and for its gateway', () => {
    assert.deepEqual(toAsk(nic(['10.88.0.21', '224.0.0.1']), 'br0', facts), {
      addresses: ['10.88.0.21', '10.88.0.22'],
      gateways: ['10.88.0.1'],
    });
    assert.deepEqual(toAsk(nic(['fd88::21']), 'br0', facts).gateways, ['10.88.0.1', 'fe80::1']);
  });

  test('a segment is not asked for a gateway of another network', () => {
    const elsewhere = toAsk(nic(['10.99.0.21']), 'br0', { ...facts, neighbours: [] });
    assert.deepEqual(elsewhere, { addresses: ['10.99.0.21'], gateways: [] });
  });
});

describe('a segment', () => {
  const asked = { addresses: ['10.88.0.21', 'fd88::21'], gateways: ['10.88.0.1'] };
  const own = { address: '10.88.0.21', mac: MAC };
  const gateway = { address: '10.88.0.1', mac: ROUTER };

  test('a segment belongs to the guest if the guest and its gateway answer there', () => {
    assert.deepEqual(judgeSegment(MAC, 'br0', asked, [own, gateway]), {
      verdict: 'pass',
      what: `10.88.0.21 answers on br0 with its MAC ${MAC}; gateway 10.88.0.1 is ${ROUTER}`,
    });
    assert.equal(isSettled(MAC, asked, [own, gateway]), true);
  });

  test('a segment is in doubt if the guest or its gateway is silent', () => {
    const silent = judgeSegment(MAC, 'br0', asked, [gateway]);
    assert.equal(silent.verdict, 'warn');
    assert.match(silent.what, /nobody on br0 answers for 10\.88\.0\.21, fd88::21/);
    const alone = judgeSegment(MAC, 'br0', asked, [own]);
    assert.equal(alone.verdict, 'warn');
    assert.match(alone.what, /gateway 10\.88\.0\.1 does not answer/);
  });

  test('a segment is refused if another machine answers for the guest', () => {
    const answer = fc.record({
      address: fc.constantFrom(...asked.addresses, ...asked.gateways),
      mac: fc.constantFrom(MAC, ROUTER),
    });
    fc.assert(
      fc.property(fc.array(answer), fc.constantFrom(...asked.addresses), (heard, address) => {
        const all = [...heard, { address, mac: STRANGER }];
        assert.equal(judgeSegment(MAC, 'br0', asked, all).verdict, 'refuse');
      }),
    );
  });
});
