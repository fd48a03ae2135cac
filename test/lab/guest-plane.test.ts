import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { routeHook } from '../../lab/guest-plane.ts';
import { guestPortSteps } from '../../lab/guest-port.ts';
import { networkSteps } from '../../lab/network-plan.ts';
import type { LabNetwork, LabPlan } from '../../lab/plan.ts';

function plan(network?: LabNetwork): LabPlan {
  const common = { name: 'lab', hosts: ['a', 'b', 'c'], delayMs: undefined };
  return { ...common, linkBytesPerSecond: undefined, network };
}

const lines = (network: LabNetwork | undefined, member: string): string[] =>
  networkSteps(plan(network))
    .filter(({ namespace }) => namespace === `gw-lab-${member}`)
    .flatMap((step) => step.lines);

describe('a lab', () => {
  test('a lab has bridges by default', () => {
    assert.deepEqual(networkSteps(plan()), networkSteps(plan('bridge')));
    assert.ok(lines(undefined, 'a').includes('link set lan0 master br0 up'));
  });

  test('a lab over tunnels floods from each end to all others', () => {
    const flood = (member: string): string[] =>
      lines('vxlan', member).filter((line) => line.startsWith('fdb append'));
    const to = (device: string, ...addresses: string[]): string[] =>
      addresses.map(
        (address) => `fdb append 00:00:00:00:00:00 dev ${device} dst 10.89.0.${address}`,
      );
    assert.deepEqual(flood('a'), to('vxlan0', '12', '13', '10'));
    assert.deepEqual(flood('client'), to('eth0', '11', '12', '13'));
  });

  test('a lab of routes has no bridge for guests', () => {
    assert.ok(!lines('routed', 'a').some((line) => line.includes('br0')));
    const [made, settings, route] = guestPortSteps(plan('routed'), 'b', 'tap1', {
      address: '10.88.0.21',
    });
    assert.ok(made?.lines.includes('route add 10.88.0.21/32 dev tap1'));
    assert.ok(settings?.lines.includes('ipv4/conf/tap1/proxy_arp=1'));
    assert.deepEqual(route?.lines, ['route replace 10.88.0.21/32 via 10.89.0.12']);
  });
});

describe('a lab with VLANs', () => {
  test('a VLAN lab of Linux bridges has the tag on the uplinks, and untagged clients and guests', () => {
    assert.ok(lines('vlan', 'a').includes('vlan add dev lan0 vid 10'));
    assert.ok(lines('vlan', 'switch').includes('vlan add dev lan-b vid 10'));
    assert.ok(lines('vlan', 'switch').includes('vlan add dev lan-client vid 10 pvid untagged'));
  });

  test('a VLAN lab of Open vSwitch has a trunk from each to the switch, which has no VLANs', () => {
    assert.ok(lines('ovs', 'a').includes('add-port br0 lan0'));
    assert.ok(lines('ovs', 'client').includes('--may-exist add-port br0 eth0 tag=10'));
    assert.ok(!lines('ovs', 'switch').some((line) => /vlan|tag/.test(line)));
  });
});

test('only a lab of routes has a hook, which informs the router', () => {
  assert.equal(routeHook(plan(), 'a'), undefined);
  assert.match(
    routeHook(plan('routed'), 'b') ?? '',
    /^#!\/bin\/sh\n[^]*via 10\.89\.0\.12; done\n$/,
  );
});
