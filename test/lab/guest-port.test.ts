import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hasCode } from '../../src/errors.ts';
import { checkVlan, guestPortRemoval, guestPortSteps } from '../../lab/guest-port.ts';
import type { LabNetwork, LabPlan } from '../../lab/plan.ts';

function plan(network: LabNetwork): LabPlan {
  const common = { name: 'lab', hosts: ['a', 'b'], delayMs: undefined };
  return { ...common, linkBytesPerSecond: undefined, network };
}

const address = '10.88.0.21';
const steps = (network: LabNetwork, vlan?: number): string[] =>
  guestPortSteps(plan(network), 'b', 'tap1', { address, vlan }).flatMap(
    ({ tool, namespace, lines }) => lines.map((line) => `${namespace} ${tool} ${line}`),
  );

describe("a guest's port", () => {
  test("a guest's port is untagged in a VLAN of a Linux bridge", () => {
    assert.equal(steps('vlan').at(-1), 'gw-lab-b bridge vlan add dev tap1 vid 10 pvid untagged');
  });

  test("a guest's port has its tag in Open vSwitch, and the client uses the same", () => {
    const [own, other] = [steps('ovs'), steps('ovs', 20)];
    assert.ok(own.includes('gw-lab-b ovs-vsctl add-port br0 tap1 tag=10'));
    assert.match(own.at(-1) ?? '', /^gw-lab-client ip route replace 10\.88\.0\.21\/32 dev eth0 /);
    assert.ok(other.includes('gw-lab-b ovs-vsctl add-port br0 tap1 tag=20'));
    assert.ok(other.includes('gw-lab-client ovs-vsctl set interface vlan20 type=internal'));
    assert.match(other.at(-1) ?? '', /^gw-lab-client ip route replace \S+ dev vlan20 /);
  });

  test("a guest's port is removed from Open vSwitch, and needs no removal from a Linux bridge", () => {
    const [removal] = guestPortRemoval(plan('ovs'), 'a', 'tap1');
    assert.deepEqual(removal?.lines, ['--if-exists del-port tap1']);
    assert.deepEqual(guestPortRemoval(plan('bridge'), 'a', 'tap1'), []);
  });
});

test('a guest is put into a VLAN only if there are several, and only into a valid one', () => {
  checkVlan(plan('ovs'), 20);
  checkVlan(plan('bridge'), undefined);
  for (const [network, vlan] of [
    ['ovs', 0],
    ['ovs', 4095],
    ['ovs', 1.5],
    ['bridge', 20],
  ] as const) {
    assert.throws(
      () => checkVlan(plan(network), vlan),
      (error) => hasCode(error, 'GODWIT_USAGE'),
    );
  }
});
