import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { godwitError } from '../../src/errors.ts';
import { ownLinkTo } from '../../src/network/own-link.ts';
import { kernel } from './kernel.ts';

const never = new AbortController().signal;
const UP = ['BROADCAST', 'UP', 'LOWER_UP'];
const CUT = ['NO-CARRIER', 'BROADCAST', 'UP'];

const link = (ifname: string, flags: string[], kind?: string, lower?: string) => ({
  ifname,
  flags,
  ...(lower === undefined ? {} : { link: lower }),
  ...(kind === undefined ? {} : { linkinfo: { info_kind: kind } }),
});

const route = (dev: string, gateway?: string) => ({
  'route get 10.0.0.2': [{ dev, ...(gateway === undefined ? {} : { gateway }) }],
});

describe("this host's link to an address", () => {
  test("this host's link is up if each of its layers is", async () => {
    const answers = {
      ...route('br0.5'),
      '-d link show dev br0.5': [link('br0.5', UP, 'vlan', 'br0')],
      '-d link show dev br0': [link('br0', UP, 'bridge')],
      '-d link show master br0': [link('eth0', UP), link('tap0', UP, 'tun')],
      'neigh show to 10.0.0.2 dev br0.5': [{ state: ['REACHABLE'] }],
    };
    const found = await ownLinkTo('10.0.0.2', never, kernel(answers));
    assert.deepEqual(found, { isUp: true, missing: false, route: 'br0.5' });
  });

  test("this host's link is down with its cable, even below a VLAN on a bridge that a tap keeps up", async () => {
    for (const [kind, master] of [
      ['bridge', 'br0'],
      ['openvswitch', 'ovs-system'],
    ] as const) {
      const answers = {
        ...route('br0.5'),
        '-d link show dev br0.5': [link('br0.5', UP, 'vlan', 'br0')],
        '-d link show dev br0': [link('br0', UP, kind)],
        [`-d link show master ${master}`]: [link('eth0', CUT), link('tap0', UP, 'tun')],
      };
      const found = await ownLinkTo('10.0.0.2', never, kernel(answers));
      assert.deepEqual(found, { isUp: false, why: "this host's own link eth0 is down" });
    }
  });

  test("this host's link is down without a route, or without a device", async () => {
    const none = await ownLinkTo('10.0.0.2', never, kernel({}));
    assert.deepEqual(none, { isUp: false, why: 'this host has no route to 10.0.0.2' });
    const gone = await ownLinkTo('10.0.0.2', never, kernel(route('eth9')));
    assert.deepEqual(gone, { isUp: false, why: "this host's own link eth9 is down" });
  });

  test('an address is missing only in its segment, and only if no host there has claimed it', async () => {
    const see = async (neigh: object[], gateway?: string): Promise<boolean> => {
      const answers = {
        ...route('eth0', gateway),
        '-d link show dev eth0': [link('eth0', UP)],
        'neigh show to 10.0.0.2 dev eth0': neigh,
      };
      const found = await ownLinkTo('10.0.0.2', never, kernel(answers));
      assert.ok(found.isUp);
      return found.missing;
    };
    assert.equal(await see([{ state: ['FAILED'] }]), true);
    assert.equal(await see([{ state: ['INCOMPLETE'] }]), true);
    assert.equal(await see([]), true);
    for (const state of ['REACHABLE', 'STALE', 'DELAY', 'PROBE', 'PERMANENT']) {
      assert.equal(await see([{ state: [state] }]), false, state);
    }
    assert.equal(await see([{ state: ['FAILED'] }], '10.0.0.1'), false);
  });

  test("the state of this host's link is unknown if `ip` is missing, or prints unreadable text", async () => {
    const lacks = async (): Promise<never> => {
      throw godwitError('GODWIT_HOST_LACKS', { what: '`ip` (package iproute2)' });
    };
    const without = await ownLinkTo('10.0.0.2', never, lacks);
    assert.match(without.isUp ? '' : without.why, /iproute2/);
    const odd = async () => ({ status: 0, output: '<html>', reason: '' });
    const garbled = await ownLinkTo('10.0.0.2', never, odd);
    assert.match(garbled.isUp ? '' : garbled.why, /does not know the state of its own link/);
  });
});
