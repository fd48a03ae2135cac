import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  changedPorts,
  portWords,
  type PortNow,
} from '../../../src/migration/guest-changes/ports.ts';
import type { Attachment, NicNetwork } from '../../../src/protocol/network.ts';
import { PORT_SETTINGS, portSettings } from '../../../src/protocol/port-settings.ts';

type OnBridge = Extract<Attachment, { kind: 'bridge' }>;

function nic(change: Partial<OnBridge> = {}, limits?: string[]): NicNetwork {
  const attachment: OnBridge = { kind: 'bridge', bridge: 'br0', mtu: 1500, ...change };
  const own = { id: 'net0', mac: '52:54:00:00:00:02', port: 'tap1', addresses: [], attachment };
  return limits === undefined ? own : { ...own, limits };
}

function words(before: NicNetwork, now: PortNow): string[] {
  return changedPorts([before], [now]).map((change) => {
    assert.equal(change.verdict, 'rolls-back');
    return change.words;
  });
}

describe("changes of a guest's port", () => {
  test("a change of a guest's port is named with both values", () => {
    const of = 'of the port of net0 changed from';
    assert.deepEqual(words(nic(), nic({ mtu: 1400 })), [`the MTU ${of} 1500 to 1400`]);
    assert.deepEqual(words(nic({ vlan: { mode: 'access', tag: 10 } }), nic()), [
      `the VLAN ${of} 10 to unset`,
    ]);
    const tags = { mode: 'trunk', native: 1, tags: [20, 10] } as const;
    assert.deepEqual(words(nic(), nic({ vlan: { ...tags, tags: [20, 10] } })), [
      `the VLAN ${of} unset to 1 untagged and 10,20 tagged`,
    ]);
    assert.deepEqual(words(nic({}, ['tc tbf']), nic({}, ['tc htb', 'the state down'])), [
      `tc tbf ${of} set to unset`,
      `tc htb ${of} unset to set`,
      `the state down ${of} unset to set`,
    ]);
    const entry = { mac: '52:54:00:00:00:09', vlan: 7 };
    assert.deepEqual(words(nic(), nic({ settings: { staticMacs: [entry] } })), [
      `the static entry for ${entry.mac} in VLAN 7 ${of} unset to set`,
    ]);
  });

  test('a port moved to another bridge is one change: the bridge', () => {
    const before = nic({ settings: { isolated: true } });
    const to = (name: string): string =>
      `the bridge of the port of net0 changed from br0 to ${name}`;
    assert.deepEqual(words(before, { id: 'net0', master: 'br1', limits: [] }), [to('br1')]);
    assert.deepEqual(words(before, { id: 'net0', limits: [] }), [to('none')]);
  });

  test('rules that a program cannot list, or a NIC that was not read, are not a change of a port', () => {
    assert.deepEqual(words(nic({}, ['whatever `nft` does not list (x)']), nic()), []);
    assert.deepEqual(changedPorts([nic()], []), []);
  });

  const settings = fc.record(
    {
      isolated: fc.constant(true),
      flood: fc.constant(false),
      mcast_router: fc.constantFrom(0, 2),
      priority: fc.constantFrom(1, 2),
      cost: fc.constantFrom(7, 8),
      staticMacs: fc.constantFrom(
        [{ mac: '52:54:00:00:00:02' }],
        [{ mac: '52:54:00:00:00:02', sticky: true }, { mac: '52:54:00:00:00:03' }],
      ),
    },
    { requiredKeys: [] },
  );
  test('a port has no changes exactly if every setting is the same', () => {
    fc.assert(
      fc.property(settings, settings, (one, other) => {
        const [was, is] = [portSettings.parse(one), portSettings.parse(other)];
        const isSame = PORT_SETTINGS.every(
          (name) => JSON.stringify(was[name]) === JSON.stringify(is[name]),
        );
        const found = words(nic({ settings: was }), nic({ settings: is }));
        assert.equal(found.length === 0, isSame, found.join('; '));
      }),
    );
  });
});

test('a port in a snapshot has its bridge and the settings of its owner', () => {
  assert.equal(portWords(nic()), 'the bridge br0, the MTU 1500');
  const changed = nic({ settings: { flood: false } }, ['tc tbf']);
  assert.equal(portWords(changed), 'the bridge br0, tc tbf set, the MTU 1500, flood off');
});
