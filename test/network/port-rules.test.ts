import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgePortRules, limitsOf, rulesNaming, tcRules } from '../../src/network/port-rules.ts';
import type { NicNetwork } from '../../src/protocol/network.ts';

const RULESET = `table bridge f {
	set s {
		type ifname
		elements = { "t0",
			     "t1" }
	}
	chain x {
		type filter hook forward priority 0; policy accept;
		iifname "t0" drop
		iifname "t*" ether saddr != 02:00:00:00:00:01 drop
		iifname "t01" accept
		iifname "gw*" drop
		ct state established accept
	}
}
table netdev n {
	chain i {
		type filter hook ingress device "t0" priority filter; policy accept;
	}
}`;

describe('rules that name a port', () => {
  test('are found in nftables, by its name, by a prefix of it, in a set and as a hook', () => {
    assert.deepEqual(rulesNaming('t0', RULESET), [
      'elements = { "t0",',
      'iifname "t0" drop',
      'iifname "t*" ether saddr != 02:00:00:00:00:01 drop',
      'type filter hook ingress device "t0" priority filter; policy accept;',
    ]);
    assert.deepEqual(rulesNaming('gw12345678n0', RULESET), []);
  });

  test('are found in iptables and ebtables', () => {
    const rules = `-A FORWARD -m physdev --physdev-in tap7 -j DROP
-A INPUT -i tap+ -j DROP
-A INPUT -i tap77 -j DROP
-A INPUT -i + -j ACCEPT`;
    assert.deepEqual(rulesNaming('tap7', rules), [
      '-A FORWARD -m physdev --physdev-in tap7 -j DROP',
      '-A INPUT -i tap+ -j DROP',
    ]);
  });
});

describe('what tc does with a port', () => {
  test('is a limit if somebody chose it, and nothing if the kernel did', () => {
    const chosen = [
      { kind: 'tbf', handle: '8001:', root: true },
      { kind: 'ingress', handle: 'ffff:' },
    ];
    assert.deepEqual(limitsOf(JSON.stringify(chosen)), ['tc tbf', 'tc ingress']);
    assert.deepEqual(limitsOf(JSON.stringify([{ kind: 'fq_codel', handle: '0:' }])), []);
    assert.deepEqual(limitsOf(''), []);
  });

  test('is a rule if it drops or redirects, and none if it only limits the rate', () => {
    assert.deepEqual(tcRules('filter protocol all pref 1 bpf chain 0 handle 0x1 guard.o'), [
      'tc filter with bpf',
    ]);
    assert.deepEqual(tcRules(' police 0x1 rate 5Mbit burst 100Kb action drop overhead 0b'), []);
    assert.deepEqual(tcRules('\taction order 1: gact action drop'), [
      'tc filter with gact action drop',
    ]);
  });
});

describe('a guest whose port rules name', () => {
  const nic: NicNetwork = {
    id: 'net0',
    mac: '52:54:00:00:00:02',
    port: 't0',
    addresses: [],
    attachment: { kind: 'bridge', bridge: 'br0', mtu: 1500 },
  };
  const judged = (own: Partial<NicNetwork>, hooks: Parameters<typeof judgePortRules>[1]['hooks']) =>
    judgePortRules({ ...nic, ...own }, { host: 'b', hooks }).map(({ verdict }) => verdict);

  test('is refused, unless a hook of the destination can make them', () => {
    const rules = ['iifname "t0" drop'];
    assert.deepEqual(judged({ rules }, []), ['refuse']);
    assert.deepEqual(judged({ rules }, ['prepare-destination']), ['warn']);
  });

  test('moves with a warning if only its rate is limited', () => {
    assert.deepEqual(judged({ limits: ['tc tbf'] }, []), ['warn']);
    assert.deepEqual(judged({}, []), []);
  });
});
