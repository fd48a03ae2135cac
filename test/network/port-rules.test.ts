import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { linkLimits, linkRules } from '../../src/network/attachment.ts';
import {
  judgePortRules,
  limitsOf,
  portSysctls,
  rulesNaming,
  rulesOfMac,
  staticGroups,
  tcRules,
} from '../../src/network/port-rules.ts';
import { tempDir } from '../rpc/test-contract.ts';
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
  test('rules for a port are found in nftables, by its name, by a prefix of it, in a set and as a hook', () => {
    assert.deepEqual(rulesNaming('t0', RULESET), [
      'elements = { "t0",',
      'iifname "t0" drop',
      'iifname "t*" ether saddr != 02:00:00:00:00:01 drop',
      'type filter hook ingress device "t0" priority filter; policy accept;',
    ]);
    assert.deepEqual(rulesNaming('gw12345678n0', RULESET), []);
  });

  test('rules for a port are found in iptables and ebtables', () => {
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

describe('settings of a port or its MAC', () => {
  test('a rule for the MAC is found if it does not name the port as well', () => {
    const rules = `ether saddr 02:00:00:00:00:01 drop
iifname "t0" ether saddr 02:00:00:00:00:01 accept
-A FORWARD -s 2:0:0:0:0:1 -j DROP
elements = { 02:00:00:00:00:01, 02:00:00:00:00:02 }
ether saddr 02:00:00:00:00:0f drop`;
    assert.deepEqual(rulesOfMac('02:00:00:00:00:01', 't0', rules), [
      'the rule for its MAC (ether saddr 02:00:00:00:00:01 drop)',
      'the rule for its MAC (-A FORWARD -s 2:0:0:0:0:1 -j DROP)',
      'the rule for its MAC (elements = { 02:00:00:00:00:01, 02:00:00:00:00:02 })',
    ]);
  });

  test('a multicast entry is found if it was created by hand', () => {
    const mdb = [
      { port: 't0', grp: '239.1.1.1', state: 'permanent' },
      { port: 't0', grp: '239.1.1.2', state: 'temp' },
      { port: 't1', grp: '239.1.1.3', state: 'permanent' },
    ];
    assert.deepEqual(staticGroups('t0', JSON.stringify([{ mdb, router: {} }])), [
      'the static multicast entry for 239.1.1.1',
    ]);
    assert.deepEqual(staticGroups('t0', ''), []);
  });

  test("a kernel setting is found if it differs from a new port's and does not move with the guest", async (t) => {
    const top = tempDir(t);
    const set = (family: string, link: string, key: string, value: string): void => {
      const directory = path.join(top, family, 'conf', link);
      mkdirSync(directory, { recursive: true });
      writeFileSync(path.join(directory, key), `${value}\n`);
    };
    for (const link of ['default', 't0']) {
      set('ipv4', link, 'rp_filter', link === 't0' ? '1' : '0');
      set('ipv4', link, 'proxy_arp', link === 't0' ? '1' : '0');
      set('ipv6', link, 'accept_ra', '1');
      set('ipv6', link, 'mtu', link === 't0' ? '1500' : '1280');
    }
    assert.deepEqual(await portSysctls('t0', top), ['sysctl net.ipv4.conf rp_filter=1']);
    assert.deepEqual(await portSysctls('t9', top), []);
  });

  test("the link's state, group and queue are limits, and an XDP program is a rule", () => {
    const plain = { flags: ['BROADCAST', 'UP'], group: 'default', txqlen: 1000 };
    assert.deepEqual([linkLimits(plain), linkRules(plain)], [[], []]);
    assert.deepEqual([linkLimits({}), linkRules({})], [[], []]);
    assert.deepEqual(linkLimits({ flags: ['BROADCAST'], group: 'tenant1', txqlen: 50 }), [
      'the state down',
      'the link group tenant1',
      'the queue of 50',
    ]);
    assert.deepEqual(linkRules({ xdp: { mode: 1 } }), ['XDP program of the port']);
  });
});

describe('tc settings of a port', () => {
  test("a tc setting of a port is a limit if it was configured, and nothing if it is the kernel's default", () => {
    const chosen = [
      { kind: 'tbf', handle: '8001:', root: true },
      { kind: 'ingress', handle: 'ffff:' },
    ];
    assert.deepEqual(limitsOf(JSON.stringify(chosen)), ['tc tbf', 'tc ingress']);
    assert.deepEqual(limitsOf(JSON.stringify([{ kind: 'fq_codel', handle: '0:' }])), []);
    assert.deepEqual(limitsOf(''), []);
  });

  test('a tc filter is a rule if it drops or redirects, and not if it only limits the rate', () => {
    assert.deepEqual(tcRules('filter protocol all pref 1 bpf chain 0 handle 0x1 guard.o'), [
      'tc filter with bpf',
    ]);
    assert.deepEqual(tcRules(' police 0x1 rate 5Mbit burst 100Kb action drop overhead 0b'), []);
    assert.deepEqual(tcRules('\taction order 1: gact action drop'), [
      'tc filter with gact action drop',
    ]);
  });
});

describe('a guest with rules for its port', () => {
  const nic: NicNetwork = {
    id: 'net0',
    mac: '52:54:00:00:00:02',
    port: 't0',
    addresses: [],
    attachment: { kind: 'bridge', bridge: 'br0', mtu: 1500 },
  };
  const judged = (own: Partial<NicNetwork>, hooks: Parameters<typeof judgePortRules>[1]['hooks']) =>
    judgePortRules({ ...nic, ...own }, { host: 'b', hooks }).map(({ verdict }) => verdict);

  test('a guest with rules for its port is refused, unless a hook of the destination can create them', () => {
    const rules = ['iifname "t0" drop'];
    assert.deepEqual(judged({ rules }, []), ['refuse']);
    assert.deepEqual(judged({ rules }, ['prepare-destination']), ['warn']);
  });

  test("a guest moves with a warning if only its port's rate is limited", () => {
    assert.deepEqual(judged({ limits: ['tc tbf'] }, []), ['warn']);
    assert.deepEqual(judged({}, []), []);
  });
});
