import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeBinding, logicalPortOf, whyUnbound } from '../../src/network/bound.ts';
import type { Landing } from '../../src/network/landing.ts';
import type { NicNetwork } from '../../src/protocol/network.ts';
import { MAC } from './host-facts.ts';

const nicWith = (ids?: { 'iface-id': string }): NicNetwork => ({
  id: 'net0',
  mac: MAC,
  port: 'tap1',
  addresses: [],
  attachment: { kind: 'ovs', bridge: 'br-int', mtu: 1500, ...(ids === undefined ? {} : { ids }) },
});
const bound = nicWith({ 'iface-id': 'lp1' });
const there: Landing = { kind: 'ovs', bridge: 'br-int', mtu: 1500 };

test('a port that a controller binds needs a host with a binding hook', () => {
  const found = judgeBinding(bound, there, { host: 'b', hooks: ['after-resume'], hasOvn: true });
  assert.equal(found?.error?.code, 'GODWIT_PORT_UNBOUND');
  assert.match(found?.evidence ?? '', /^net0: the port lp1 .* not bound at b: b has no hook prep/);
  assert.match(found?.error?.hint ?? '', /examples\/hooks\/ovn/);
  const hooks = ['prepare-destination'];
  assert.equal(judgeBinding(bound, there, { host: 'b', hooks, hasOvn: true })?.verdict, 'pass');
  // An iface-id alone, as libvirt sets it, keeps no guest from moving.
  const alone = judgeBinding(bound, there, { host: 'b', hooks: [], hasOvn: false });
  assert.equal(alone?.verdict, 'warn');
});

test('a port without a controller, and one that leaves its controller, need no hook', () => {
  const none = { host: 'b', hooks: [], hasOvn: true };
  assert.equal(judgeBinding(nicWith(), there, none), undefined);
  const bridge: Landing = { kind: 'bridge', bridge: 'br0', mtu: 1500 };
  assert.equal(logicalPortOf(bound, bridge), undefined);
  assert.equal(judgeBinding(bound, bridge, none), undefined);
});

test('a port is bound once its name exists here and, if OVN is running, its flows', () => {
  const ovn = { 'ovn-remote': 'tcp:10.0.0.9:6642' };
  const named = { 'iface-id': 'lp1' };
  assert.match(whyUnbound('lp1', { port: {}, own: {} }) ?? '', /no iface-id here/);
  assert.match(whyUnbound('lp1', { port: { 'iface-id': 'x' }, own: {} }) ?? '', /the iface-id x/);
  assert.equal(whyUnbound('lp1', { port: named, own: {} }), undefined);
  assert.match(whyUnbound('lp1', { port: named, own: ovn }) ?? '', /no flows/);
  assert.equal(
    whyUnbound('lp1', { port: { ...named, 'ovn-installed': 'true' }, own: ovn }),
    undefined,
  );
});
