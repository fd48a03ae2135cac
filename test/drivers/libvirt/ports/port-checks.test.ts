import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readDomain } from '../../../../src/drivers/libvirt/domain-xml.ts';
import { judgePort, type PortAsIs } from '../../../../src/drivers/libvirt/ports/port-checks.ts';
import type { DomainPort } from '../../../../src/drivers/libvirt/ports/ports.ts';
import { nicNetwork, type NicNetwork } from '../../../../src/protocol/network.ts';

const MAC = '52:54:00:00:00:01';

function portIn(words: string, source = "<source bridge='br0'/>"): DomainPort {
  const xml = `<domain type='kvm'><name>web1</name><uuid>7b0d2f70-6a52-4f5e-9a3e-2c1f5b8e1001</uuid>
    <memory unit='KiB'>131072</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os><devices>
    <interface type='bridge'><mac address='${MAC}'/>${source}<target dev='vnet3'/><alias name='net0'/>${words}</interface>
    </devices></domain>`;
  const { facts, why } = readDomain(xml);
  const [port, ...more] = facts?.ports ?? [];
  assert.ok(port !== undefined && more.length === 0, why ?? 'it has not one port');
  return port;
}

interface PortOverrides extends Partial<Pick<NicNetwork, 'rules' | 'limits'>> {
  readonly attachment?: object;
  readonly bridge?: Omit<PortAsIs, 'nic'>;
}

function seen({ attachment = {}, bridge = { bridgeMtu: 1500 }, ...own }: PortOverrides): PortAsIs {
  const nic = nicNetwork.parse({
    id: 'net0',
    mac: MAC,
    port: 'vnet3',
    addresses: [],
    attachment: { kind: 'bridge', bridge: 'br0', mtu: 1500, ...attachment },
    ...own,
  });
  return { nic, ...bridge };
}

/** `refuse` and `warn`, each with its words. */
function judged(xml: string, found: PortOverrides, hasHook = false, source?: string): string {
  return judgePort('web1', portIn(xml, source), seen(found), hasHook)
    .map(({ verdict, evidence }) => `${verdict}: ${evidence}`)
    .join('\n');
}

const ROUTED = {
  kind: 'routed',
  bridge: undefined,
  mac: MAC,
  routes: [],
  gateways: [],
  proxyArp: false,
  proxyNdp: false,
};
const set = (settings: object): PortOverrides => ({ attachment: { settings } });

describe("manual settings on a libvirt guest's port", () => {
  test('a port as libvirt creates it has no finding', () => {
    assert.equal(judged('', {}), '');
    assert.equal(judged('', { limits: ['tc noqueue'] }), '');
  });

  test('settings that isolate guests are refused by name, with a hint', () => {
    for (const [settings, words] of [
      [{ isolated: true }, 'isolated on'],
      [{ guard: true }, 'guard on'],
      [{ flood: false }, 'flood off'],
      [{ learning: false }, 'learning off'],
    ] as const) {
      const text = judged('', set(settings));
      assert.match(text, new RegExp(`^refuse: .*${words} of the port vnet3 of net0 of web1`));
    }
    const [finding] = judgePort('web1', portIn(''), seen(set({ isolated: true })), false);
    assert.equal(finding?.error?.code, 'GODWIT_CAPABILITY');
    assert.match(finding?.error?.hint ?? '', /<port isolated>.*portHook/);
  });

  test('a port that was moved to another bridge, or out of its bridge, is refused by name', () => {
    const moved = judged('', { attachment: { bridge: 'br1' } });
    assert.match(moved, /^refuse: .*the bridge br1 of the port vnet3 of net0 of web1/);
    const out = judged('', { attachment: ROUTED });
    assert.match(out, /^refuse: .*the place outside of br0 of the port vnet3/);
    const network = "<source network='default' bridge='br1'/>";
    assert.match(judged('', {}, false, network), /^refuse: .*the bridge br0/);
    assert.equal(judged('', {}, false, "<source network='default'/>"), '');
  });

  test('another bridge of Open vSwitch is a warning: one bridge may stand for a VLAN of another', () => {
    const text = judged('<vlan><tag id="5"/></vlan>', {
      attachment: { kind: 'ovs', bridge: 'ovs1' },
    });
    assert.match(text, /^warn: the bridge ovs1 of the port vnet3 of net0 stays behind$/);
  });

  test('other settings and limits cause a warning by name', () => {
    const text = judged('', { limits: ['tc tbf'], ...set({ hairpin: true }) });
    assert.match(text, /^warn: hairpin on, tc tbf of the port vnet3 of net0 stays behind$/);
  });

  test('settings in the XML are carried over by libvirt', () => {
    assert.equal(judged("<port isolated='yes'/>", set({ isolated: true })), '');
    const limits = ['tc htb', 'tc ingress'];
    assert.equal(judged("<bandwidth><inbound average='9'/></bandwidth>", { limits }), '');
    assert.match(judged('', { limits }), /^warn: tc htb, tc ingress/);
    const learned = set({ learning: false, flood: false, staticMacs: [{ mac: MAC }] });
    const source = "<source network='n' bridge='br0' macTableManager='libvirt'/>";
    assert.equal(judged('', learned, false, source), '');
    assert.match(judged('', learned), /^refuse: .*learning off \| flood off/);
  });

  test("a limit that replaces the XML's limit is warned of", () => {
    const limited = "<bandwidth><inbound average='9'/></bandwidth>";
    assert.match(judged(limited, { limits: ['tc tbf'] }), /^warn: tc tbf/);
  });

  test('a port that is no longer isolated, as its XML requires, causes a warning', () => {
    assert.match(judged("<port isolated='yes'/>", {}), /^warn: isolated off/);
  });

  test("a VLAN other than a new port's is refused unless it is in the XML", () => {
    const vlan = { attachment: { vlan: { mode: 'access', tag: 20 } } };
    assert.match(judged('', vlan), /^refuse: .*VLAN 20 of the port/);
    assert.equal(judged("<vlan><tag id='20'/></vlan>", vlan), '');
    assert.equal(judged('', { ...vlan, bridge: { defaultVlan: 20 } }), '');
    assert.equal(judged('', { attachment: { vlan: { mode: 'access', tag: 1 } } }), '');
  });

  test("an MTU below the bridge's MTU is warned of unless it is in the XML", () => {
    const narrow = { attachment: { mtu: 1400 } };
    assert.match(judged('', narrow), /^warn: its MTU of 1400/);
    assert.equal(judged("<mtu size='1400'/>", narrow), '');
  });

  test('rules that name the port are refused, and rules for all ports of libvirt are not', () => {
    const rule = 'iifname "vnet3" drop';
    assert.match(judged('', { rules: [rule] }), /^refuse: .*iifname "vnet3" drop/);
    assert.match(judged('', { rules: ['XDP program of the port'] }), /^refuse/);
    assert.equal(judged('', { rules: ['iifname "vnet*" accept'] }), '');
  });

  test("rules of libvirt's own filter pass, and others next to it are warned of", () => {
    const filtered = "<filterref filter='clean-traffic'/>";
    const rules = [
      '-A PREROUTING -i vnet3 -j libvirt-I-vnet3',
      '-A libvirt-in -m physdev --physdev-in vnet3 -g FI-vnet3',
    ];
    assert.equal(judged(filtered, { rules }), '');
    assert.match(judged(filtered, { rules: ['-A FORWARD -i vnet3 -j DROP'] }), /^warn: -A FORWARD/);
  });

  test('the manual settings are only warned of if libvirt has a hook', () => {
    const text = judged('', { limits: ['tc tbf'], ...set({ guard: true }) }, true);
    assert.match(
      text,
      /^warn: guard on of the port vnet3 of net0: the hook of libvirt has to set it/,
    );
    assert.match(text, /tc tbf .* stays behind, unless the hook of libvirt sets it$/);
  });
});

test('a NIC without a link of the host has no port', () => {
  const none = { name: 'web1', uuid: '7b0d2f70-6a52-4f5e-9a3e-2c1f5b8e1001' };
  const xml = `<domain type='kvm'><name>web1</name><uuid>${none.uuid}</uuid><memory>1024</memory>
    <os><type machine='q35'>hvm</type></os><devices><interface type='user'><mac address='${MAC}'/></interface></devices></domain>`;
  assert.deepEqual(readDomain(xml).facts?.ports, []);
});
