import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attachment, networkMap, networkName } from '../../src/protocol/network.ts';
import { ROUTED_BOTH } from '../network/host-facts.ts';

const routed = ROUTED_BOTH;

describe('an attachment', () => {
  test('an attachment routes only to single addresses, so that a peer never claims a network', () => {
    assert.ok(attachment.safeParse(routed).success);
    for (const route of ['0.0.0.0/0', '10.88.0.0/24', 'fd00::/64', '::/0', '10.88.0.21']) {
      assert.ok(!attachment.safeParse({ ...routed, routes: [route] }).success, route);
    }
  });

  test('an attachment names no link that a tool could read as an option or a path', () => {
    for (const bridge of ['-x', 'a/b', 'a b', '', 'x'.repeat(16)]) {
      assert.ok(!attachment.safeParse({ kind: 'bridge', bridge, mtu: 1500 }).success, bridge);
    }
  });

  test('an attachment is identified by its bridge, and a routed one has no name', () => {
    assert.equal(networkName({ kind: 'bridge', bridge: 'br0', mtu: 1500 }), 'br0');
    assert.equal(
      networkName({ kind: 'macvtap', parent: 'eth0', mode: 'bridge', mtu: 1500 }),
      'eth0',
    );
    assert.equal(networkName(attachment.parse(routed)), undefined);
  });
});

test('a mapping of networks is bounded, and names links on both sides', () => {
  assert.ok(networkMap.safeParse({ br0: 'br1' }).success);
  assert.ok(!networkMap.safeParse({ br0: '--help' }).success);
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`br${index}`, 'br0']));
  assert.ok(!networkMap.safeParse(many).success);
});
