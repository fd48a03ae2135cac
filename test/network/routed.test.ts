import assert from 'node:assert/strict';
import { BlockList, isIP } from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseAddresses, type Route } from '../../src/network/facts.ts';
import {
  hasDefaultMetric,
  NO_ROUTED,
  refuseRouted,
  type RoutedRules,
} from '../../src/network/routed.ts';
import { hostFacts, ROUTED } from './host-facts.ts';

const away = hostFacts({ routes: [], addresses: [] });
const said = (
  routes: readonly string[],
  gateways: readonly string[] = [],
  facts = away,
  rules: RoutedRules = ROUTED,
): string => {
  const refusal = refuseRouted({ routes: [...routes], gateways: [...gateways] }, rules, facts);
  assert.notEqual(refusal?.hint, '');
  return refusal?.what ?? '';
};
const leading = (...routes: Route[]) => hostFacts({ addresses: [], routes });
const having = (ifname: string, local: string, prefixlen: number) =>
  hostFacts({
    routes: [],
    addresses: parseAddresses(JSON.stringify([{ ifname, addr_info: [{ local, prefixlen }] }])),
  });

describe('routes of an arriving guest', () => {
  test("an arriving guest's routes are accepted inside the networks that the administrator named", () => {
    assert.equal(said(['10.88.0.21/32', 'fd00::21/128'], ['169.254.1.1/32']), '');
  });

  test("an arriving guest's routes are refused outside those networks, and always if none is named", () => {
    assert.match(said(['10.89.0.21/32']), /outside of .* allowed are 10.88.0.0\/24, /);
    assert.match(said(['10.88.0.21/32'], [], away, NO_ROUTED), /this host allows none/);
    const refusal = refuseRouted({ routes: ['10.9.0.1/32'], gateways: [] }, NO_ROUTED, away);
    assert.match(refusal?.hint ?? '', /add "10.9.0.1\/32" .* `network.routedPrefixes`/);
  });

  test("an arriving guest's routes are refused if they are wider than one address", () => {
    const everything = { prefixes: ['0.0.0.0/0', '::/0'], hosts: [] };
    for (const route of ['0.0.0.0/0', '::/0', '10.88.0.0/24', 'fd00::/64', '10.88.0.2/31']) {
      assert.match(said([route], [], away, everything), /not a route to one address/, route);
    }
  });

  test("an arriving guest's routes are refused if the address belongs to a host of the fleet", () => {
    assert.match(said(['10.88.0.5/32'], [], having('eth0', '10.88.0.5', 24)), /of this host/);
    assert.match(said(['fd00:0::5/128'], [], having('eth0', 'fd00::5', 64)), /of this host/);
    const wide = { ...ROUTED, prefixes: ['10.0.0.0/8'] };
    assert.match(said(['10.0.0.2/32'], [], away, wide), /another host of the fleet/);
  });

  test("an arriving guest's routes are refused if a host of the fleet has a name without an address", () => {
    const blind = { ...ROUTED, unresolved: ['c.example'] };
    assert.match(said(['10.88.0.21/32'], [], away, blind), /it is unknown .* c\.example/);
    assert.match(said([], ['169.254.1.1/32'], away, blind), /its gateway .* c\.example/);
    // What needs no other host's address is reported first.
    assert.match(said(['10.89.0.21/32'], [], away, blind), /outside of/);
    assert.equal(said([], [], away, blind), '');
  });

  test("an arriving guest's routes are refused if the host routes there already, by hand or to a guest", () => {
    assert.match(said(['10.88.0.21/32'], [], leading({ dst: '10.88.0.21', dev: 'tap1' })), /tap1/);
    const by = { dst: '10.88.0.21', dev: 'up0', gateway: '10.0.0.9' };
    assert.match(said(['10.88.0.21/32'], [], leading(by)), /route to 10.88.0.21 over up0 already/);
    assert.match(said(['10.88.0.21/32'], [], leading({ dst: '10.88.0.21' })), /already/);
    const wrote = { dst: 'fd00:0:0::21', dev: 'up0', protocol: 'static', metric: 1 };
    assert.match(said(['fd00::21/128'], [], leading(wrote)), /already/);
  });

  test("an arriving guest's routes are added next to a daemon's routes, unless those lead to the same port", () => {
    const learned = { dst: '10.88.0.21', dev: 'up0', protocol: 'bgp', metric: 20 };
    assert.equal(said(['10.88.0.21/32'], [], leading(learned)), '');
    const { metric: _metric, ...bare } = learned;
    assert.match(said(['10.88.0.21/32'], [], leading(bare)), /routing daemon .* only place/);
    const six = { dst: 'fd00::21', dev: 'up0', protocol: 'bird', metric: 1024 };
    assert.match(said(['fd00::21/128'], [], leading(six)), /routing daemon .* only place/);
  });

  test('routes to a wider network, or to another address, are not a conflict', () => {
    const others = [{ dst: '10.88.0.0/24', dev: 'up0' }, { dst: '10.88.0.22' }, { dst: 'default' }];
    assert.equal(said(['10.88.0.21/32'], [], leading(...others)), '');
  });
});

describe('gateways of its port', () => {
  test("a port's gateways are link-local IPv6 ones, the host's, or those that the administrator named", () => {
    assert.equal(said(['10.88.0.21/32'], ['fe80::1/64', '169.254.1.1/32', '10.88.0.1/32']), '');
    assert.equal(said(['10.88.0.21/32'], ['10.7.0.1/32'], having('tap9', '10.7.0.1', 32)), '');
  });

  test("a port's gateways are never an outside address that this host would then have", () => {
    for (const gateway of [
      '192.0.2.1/32',
      '169.254.169.254/32',
      '127.0.0.1/32',
      '2001:db8::1/128',
    ]) {
      assert.match(said(['10.88.0.21/32'], [gateway]), /its gateway .* outside of/, gateway);
    }
    const wide = { ...ROUTED, prefixes: ['10.0.0.0/8'] };
    assert.match(said(['10.88.0.21/32'], ['10.0.0.2/32'], away, wide), /is another host/);
    const hop = leading({ dst: '10.88.0.1', dev: 'up0' });
    assert.match(said(['10.88.0.21/32'], ['10.88.0.1/32'], hop), /already/);
  });

  test("a port's gateways route no network to the port", () => {
    for (const gateway of ['10.88.0.1/24', '169.254.1.1/16', 'fd00::1/64', '0.0.0.0/0']) {
      assert.match(said(['10.88.0.21/32'], [gateway]), /take a whole network/, gateway);
    }
  });
});

const byte = fc.constantFrom(0, 1, 10, 88, 127, 169, 192, 224, 254, 255);
const v4 = fc.tuple(byte, byte, byte, byte).map((bytes) => bytes.join('.'));
const group = fc.constantFrom('0', '1', 'fd00', 'fe80', 'ff02', 'ffff');
const v6 = fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => groups.join(':'));
const address = fc.oneof(v4, v6);
const network = fc.oneof(
  fc.tuple(v4, fc.integer({ min: 0, max: 32 })),
  fc.tuple(v6, fc.integer({ min: 0, max: 128 })),
);

/** Networks as the runtime knows them: no code of ours. */
function listOf(networks: readonly (readonly [string, number])[]): (address: string) => boolean {
  const family = (text: string) => (isIP(text) === 4 ? 'ipv4' : 'ipv6');
  // One for each family: the runtime takes an address of IPv4 inside one of IPv6 for both.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const [base, length] of networks) lists[family(base)].addSubnet(base, length, family(base));
  return (text) => lists[family(text)].check(text, family(text));
}

const NEVER = listOf([
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 3],
  ['::', 128],
  ['::1', 128],
  ['::ffff:0:0', 96],
  ['fe80::', 10],
  ['ff00::', 8],
]);

test('a route is taken if and only if it is allowed, free, and an address that a guest can have', () => {
  fc.assert(
    fc.property(
      fc.array(network, { maxLength: 4 }),
      fc.array(address, { maxLength: 3 }),
      address,
      fc.constantFrom('none', 'own', 'host', 'taken'),
      (allowed, others, wanted, held) => {
        const width = wanted.includes(':') ? 128 : 32;
        const facts = hostFacts({
          addresses: having('eth0', held === 'own' ? wanted : '198.51.100.1', 24).addresses,
          routes: held === 'taken' ? [{ dst: wanted, dev: 'up0' }] : [],
        });
        const hosts = [...others, ...(held === 'host' ? [wanted] : [])];
        const prefixes = allowed.map(([base, length]) => `${base}/${length}`);
        const isAllowed = listOf(allowed)(wanted);
        const isHost = listOf(hosts.map((each) => [each, isIP(each) === 4 ? 32 : 128]))(wanted);
        const expected = isAllowed && !NEVER(wanted) && !isHost && held === 'none';
        const found = said([`${wanted}/${width}`], [], facts, { prefixes, hosts }) === '';
        assert.equal(found, expected);
      },
    ),
    { numRuns: 3000 },
  );
});

test('any input of routes and gateways gets a result, even invalid input', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), fc.string({ maxLength: 60 }), (route, gateway) => {
      assert.notEqual(said([route], [gateway]), '');
    }),
  );
});

test("the kernel gives a route without a metric its family's default", () => {
  assert.ok(hasDefaultMetric({ dst: '10.0.0.1' }, { width: 32 }));
  assert.ok(hasDefaultMetric({ dst: 'fd00::1', metric: 1024 }, { width: 128 }));
  assert.ok(!hasDefaultMetric({ dst: '10.0.0.1', metric: 1024 }, { width: 32 }));
  assert.ok(!hasDefaultMetric({ dst: 'fd00::1', metric: 0 }, { width: 128 }));
});
