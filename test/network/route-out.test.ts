import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { hasGuests, routeOutTo, type Device } from '../../src/network/route-out.ts';
import { kernel } from './kernel.ts';

const { signal } = new AbortController();
const tap = { info_kind: 'tun', info_data: { type: 'tap' } };

const device = (ifname: string, given: Omit<Partial<Device>, 'ifname'> = {}): Device => ({
  ifname,
  ifindex: 7,
  ...given,
});
const of = (info_kind: string) => ({ linkinfo: { info_kind } });

describe('a route out', () => {
  const devices = [device('lo'), device('eth0'), device('eth1', { address: '02:00:00:00:00:01' })];
  const answers = {
    'route get 10.1.0.2': [{ dev: 'eth1' }],
    'route get 192.0.2.2': [{ dev: 'eth0' }],
    'route get 127.0.0.1': [{ dev: 'lo' }],
    '-4 route show default': [{ dev: 'eth0', gateway: '192.0.2.1' }],
    '-d link show': devices,
  };

  test('a route out is identified by its device, and whether it is the default one', async () => {
    const run = kernel(answers);
    const own = await routeOutTo('10.1.0.2', signal, run, '/nowhere');
    assert.deepEqual(own, { device: 'eth1', hasGuests: false, isDefault: false });
    const usual = await routeOutTo('192.0.2.2', signal, run, '/nowhere');
    assert.deepEqual(usual, { device: 'eth0', hasGuests: false, isDefault: true });
  });

  test('a route out is unknown on this host itself, without a route, or if nothing can be asked', async () => {
    assert.equal(await routeOutTo('127.0.0.1', signal, kernel(answers)), undefined);
    assert.equal(await routeOutTo('10.9.0.9', signal, kernel(answers)), undefined);
    const none = async (): Promise<never> => Promise.reject(new Error('no such program'));
    assert.equal(await routeOutTo('10.1.0.2', signal, none), undefined);
  });

  test("a route out has its device's reported speed, and never the speed of another namespace's device", async (t) => {
    const directory = mkdtempSync(path.join(tmpdir(), 'godwit-test-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const write = (file: string, text: string): void =>
      writeFileSync(path.join(directory, 'eth1', file), `${text}\n`);
    mkdirSync(path.join(directory, 'eth1'));
    write('ifindex', '7');
    write('address', '02:00:00:00:00:01');
    const rate = async (speed: string): Promise<number | undefined> => {
      write('speed', speed);
      return (await routeOutTo('10.1.0.2', signal, kernel(answers), directory))?.bytesPerS;
    };
    assert.equal(await rate('10000'), 1_250_000_000);
    assert.equal(await rate('-1'), undefined);
    write('address', '02:00:00:00:00:02');
    assert.equal(await rate('10000'), undefined);
  });
});

describe('a device', () => {
  test('a device carries guests if a tap leads over it, by bridges, bonds and VLANs', () => {
    const bond = [device('bond0'), device('eth0', { master: 'bond0' })];
    const upper = device('bond0.10', { link: 'bond0', master: 'br0', ...of('vlan') });
    const bridge = [device('br0', of('bridge')), upper];
    const guest = device('tap0', { master: 'br0', linkinfo: tap });
    const all = [...bond, ...bridge, guest, device('bond0.20', { link: 'bond0', ...of('vlan') })];
    for (const over of ['br0', 'bond0.10', 'bond0', 'bond0.20', 'eth0'])
      assert.equal(hasGuests(all, over), true, over);
    const own = [...all, device('eth1')];
    assert.equal(hasGuests(own, 'eth1'), false);
    const empty = own.filter((each) => each !== guest);
    assert.equal(hasGuests(empty, 'br0'), false);
  });

  test('a device carries guests below a macvtap, and on Open vSwitch', () => {
    const macvtap = [device('eth0'), device('macvtap0', { link: 'eth0', ...of('macvtap') })];
    assert.equal(hasGuests(macvtap, 'eth0'), true);
    const ovs = [
      device('ovs-system', of('openvswitch')),
      device('br-int', { master: 'ovs-system', ...of('openvswitch') }),
      device('eth0', { master: 'ovs-system' }),
      device('tap0', { master: 'ovs-system', linkinfo: tap }),
    ];
    assert.equal(hasGuests(ovs, 'br-int'), true);
  });

  test('a device carries guests of a VXLAN that uses it, and of a bridge beyond a veth pair', () => {
    const vxlan = { info_kind: 'vxlan', info_data: { link: 'eth1' } };
    const all = [
      device('eth0', { master: 'br1' }),
      device('eth1'),
      device('br0', of('bridge')),
      device('vx5', { master: 'br0', linkinfo: vxlan }),
      device('qvb', { master: 'br0', link: 'qvo', ...of('veth') }),
      device('qvo', { master: 'br1', link: 'qvb', ...of('veth') }),
      device('br1', of('bridge')),
      device('tap0', { master: 'br0', linkinfo: tap }),
    ];
    for (const over of ['eth1', 'eth0', 'br1']) assert.equal(hasGuests(all, over), true, over);
    assert.equal(hasGuests([...all, device('eth2')], 'eth2'), false);
  });

  test('a device may carry guests whose packets the host routes', () => {
    const routed = [device('eth0'), device('tap0', { linkinfo: tap })];
    assert.equal(hasGuests(routed, 'eth0'), undefined);
    const nat = [
      device('virbr0', of('bridge')),
      device('vnet0', { master: 'virbr0', linkinfo: tap }),
    ];
    assert.equal(hasGuests([device('eth0'), ...nat], 'eth0'), undefined);
    const bridged = [device('br0', of('bridge')), device('eth0', { master: 'br0' })];
    const other = device('tap1', { master: 'br0', linkinfo: tap });
    assert.equal(hasGuests([...nat, ...bridged, other], 'eth0'), true);
  });

  test('a device is examined at once, however many guests and ports there are', () => {
    const many = Array.from({ length: 4000 }, (_none, at) => at);
    const bridge = [device('br0', of('bridge')), device('eth9')];
    const ports = many.map((at) => device(`veth${at}`, { master: 'br0', ...of('veth') }));
    const guests = many.map((at) => device(`tap${at}`, { master: 'br0', linkinfo: tap }));
    let asked = 0;
    const counted = [...bridge, ...ports, ...guests].map((each) => ({
      ...each,
      get master() {
        asked += 1;
        return each.master;
      },
    }));
    assert.equal(hasGuests(counted as Device[], 'eth9'), false);
    assert.ok(asked < 10 * counted.length, `${asked} looks`);
  });

  test('a device carries no guest because of a tunnel of the host itself', () => {
    const tunnel = { info_kind: 'tun', info_data: { type: 'tun' } };
    const all = [device('br0', of('bridge')), device('tun0', { master: 'br0', linkinfo: tunnel })];
    assert.equal(hasGuests(all, 'br0'), false);
  });
});
