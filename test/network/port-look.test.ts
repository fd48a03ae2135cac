import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { nicOf } from '../../src/network/attachment.ts';
import { portsNow } from '../../src/network/port-look.ts';
import type { NicNetwork } from '../../src/protocol/network.ts';
import { changedPorts } from '../../src/migration/guest-changes/ports.ts';
import { hostFacts, MAC } from './host-facts.ts';

const FLAGS = ['BROADCAST', 'MULTICAST', 'UP'];
const port = (more: object = {}, data: object = {}) => ({
  ifname: 'tap1',
  mtu: 1500,
  master: 'br0',
  address: 'fe:00:00:00:00:01',
  flags: FLAGS,
  linkinfo: { info_kind: 'tun', info_slave_data: { isolated: false, learning: true, ...data } },
  ...more,
});
const bridge = { ifname: 'br0', mtu: 1500, linkinfo: { info_kind: 'bridge', info_data: {} } };

function known(): NicNetwork {
  const found = nicOf({ id: 'net0', mac: MAC, port: 'tap1' }, hostFacts());
  assert.ok(found !== undefined);
  return found;
}

function changes(link: object, more: { fdb?: object[]; tc?: object[] } = {}): string[] {
  const answers = {
    ip: [JSON.stringify([link]), JSON.stringify([bridge])],
    bridge: ['[]', JSON.stringify(more.fdb ?? [])],
    tc: [JSON.stringify(more.tc ?? [])],
  };
  const before = [known()];
  return changedPorts(before, portsNow(before, answers, [])).map(({ words }) => words);
}

describe('a second look at a port', () => {
  test('a second look at a port equals the first one if nothing was changed', () => {
    const own = { mac: 'fe:00:00:00:00:01', master: 'br0', state: 'permanent', flags: [] };
    const tc = [{ kind: 'fq_codel', handle: '0:', root: true }];
    assert.deepEqual(changes(port(), { fdb: [own], tc }), []);
  });

  test('a second look at a port shows a setting, a limit, a static entry, another bridge and a disabled port', () => {
    const fixed = { mac: MAC, master: 'br0', state: 'static', flags: [] };
    const found = [
      ...changes(port({}, { isolated: true })),
      ...changes(port(), { fdb: [fixed], tc: [{ kind: 'tbf', handle: '8001:' }] }),
      ...changes(port({ master: 'br1' })),
      ...changes(port({ flags: ['BROADCAST'] })),
    ];
    assert.deepEqual(
      found.map((each) => each.replace(' of the port of net0 changed from', ':')),
      [
        'isolated: unset to on',
        'tc tbf: unset to set',
        `the static entry for ${MAC}: unset to set`,
        'the bridge: br0 to br1',
        'the state down: unset to set',
      ],
    );
  });

  test('a second look at a port that is gone is refused', () => {
    assert.throws(() => portsNow([known()], { ip: [], bridge: [], tc: [] }, []), /no port tap1/);
  });
});
