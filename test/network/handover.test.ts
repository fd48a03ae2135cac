import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { nicOf } from '../../src/network/attachment.ts';
import {
  arrivalPlan,
  arrivalSteps,
  departureSteps,
  staleForwarding,
  undoing,
  type Command,
  type Step,
} from '../../src/network/handover.ts';
import { mapNic } from '../../src/network/mapping.ts';
import type { NicNetwork } from '../../src/protocol/network.ts';
import { hostFacts, MAC, ROUTED } from './host-facts.ts';

const facts = hostFacts({ routes: [] });

function nic(port: string): NicNetwork {
  const found = nicOf({ id: 'net0', mac: MAC, port }, hostFacts());
  assert.ok(found !== undefined);
  return found;
}

function plan(port: string): ReturnType<typeof arrivalPlan> {
  const mapping = mapNic(nic(port), { asked: {}, configured: {} }, facts, ROUTED);
  assert.ok(mapping.ok);
  return arrivalPlan(mapping.landing, 'gw0');
}

const written = (command: Command): string =>
  command.tool === 'sysctl'
    ? `${command.key}=${command.value}`
    : [command.tool, ...command.words].join(' ');
const lines = (steps: readonly Step[]): string[] => steps.map(({ run }) => written(run));

describe('a prepared port', () => {
  test("a prepared port in a bridge carries the NIC's VLAN and not the default one", () => {
    assert.deepEqual(lines(plan('tap2').prepare), [
      'ip tuntap add dev gw0 mode tap',
      'ip link set dev gw0 master brv mtu 1500 up',
      'bridge vlan add dev gw0 vid 10 pvid untagged',
      'bridge vlan del dev gw0 vid 1',
    ]);
  });

  test('a prepared routed port is silent until the guest runs: no route leads to it', () => {
    const { prepare, resume } = plan('tap4');
    assert.deepEqual(lines(prepare), [
      'ip tuntap add dev gw0 mode tap',
      'ip link set dev gw0 address 0a:00:00:00:00:01 mtu 1500 up',
      'ip addr replace 169.254.1.1/32 dev gw0',
      'ipv4/conf/gw0/proxy_arp=1',
      'ipv4/neigh/gw0/proxy_delay=0',
    ]);
    assert.deepEqual(lines(resume), [
      'ip -4 route add 10.88.0.21/32 dev gw0',
      'ip -6 route add fd00::21/128 dev gw0',
    ]);
    assert.deepEqual(lines(arrivalSteps(nic('tap4'), 'gw0')), lines(resume));
  });

  test('a prepared port is removed by undoing its steps, last first', () => {
    assert.deepEqual(undoing(plan('tap4').resume).map(written), [
      'ip -6 route del fd00::21/128 dev gw0',
      'ip -4 route del 10.88.0.21/32 dev gw0',
    ]);
    assert.deepEqual(undoing(plan('tap4').prepare).map(written), ['ip link del dev gw0']);
  });

  test('a prepared port of Open vSwitch has its tag, or its trunks', () => {
    const ovs = { kind: 'ovs', bridge: 'ovs0', mtu: 1500 } as const;
    const last = (steps: readonly Step[]): string => lines(steps).at(-1) ?? '';
    const access = arrivalPlan({ ...ovs, vlan: { mode: 'access', tag: 7 } }, 'gw0');
    const added = 'ovs-vsctl --timeout=4 --may-exist add-port ovs0 gw0';
    assert.equal(last(access.prepare), `${added} -- set port gw0 tag=7`);
    const trunk = arrivalPlan({ ...ovs, vlan: { mode: 'trunk', native: 1, tags: [5, 6] } }, 'gw0');
    const marks = 'tag=1 vlan_mode=native-untagged trunks=[5,6]';
    assert.equal(last(trunk.prepare), `${added} -- set port gw0 ${marks}`);
    const all = arrivalPlan({ ...ovs, vlan: { mode: 'trunk', native: 5, tags: [] } }, 'gw0');
    assert.equal(last(all.prepare), `${added} -- set port gw0 tag=5 vlan_mode=native-untagged`);
    assert.equal(last(arrivalPlan(ovs, 'gw0').prepare), added);
  });

  test('a prepared port of Open vSwitch has a high MAC, and is removed even if the switch is down', () => {
    const { prepare } = arrivalPlan({ kind: 'ovs', bridge: 'ovs0', mtu: 1500 }, 'gw0');
    assert.match(lines(prepare)[1] ?? '', /^ip link set dev gw0 address fe:/);
    assert.deepEqual(undoing(prepare).map(written), [
      'ovs-vsctl --timeout=2 --no-wait --if-exists del-port gw0',
      'ip link del dev gw0',
    ]);
  });
});

describe('a source that the guest has left', () => {
  test('a source that the guest has left withdraws its routes', () => {
    assert.deepEqual(lines(departureSteps(nic('tap4'))), [
      'ip -4 route del 10.88.0.21/32 dev tap4',
      'ip -6 route del fd00::21/128 dev tap4',
    ]);
  });

  test('a source that the guest has left has nothing to withdraw in a bridge', () => {
    assert.deepEqual(departureSteps(nic('tap1')), []);
  });
});

test("entries that send the guest's frames to another host are removed, and others stay", () => {
  const steps = staleForwarding(nic('tap3'), new Set(['vx']), facts.forwarding);
  assert.deepEqual(lines(steps), [`bridge fdb del ${MAC} dev vx dst 10.0.0.2 self`]);
  assert.deepEqual(undoing(steps).map(written), [`bridge fdb add ${MAC} dev vx dst 10.0.0.2 self`]);
  assert.deepEqual(staleForwarding(nic('tap3'), new Set(), facts.forwarding), []);
});
