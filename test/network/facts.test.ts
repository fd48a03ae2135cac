import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../src/errors.ts';
import {
  parseAddresses,
  parseForwarding,
  parseLinks,
  parseNeighbours,
  parseOvsIds,
  parseOvsPorts,
  parseRoutes,
  parseVlans,
} from '../../src/network/facts.ts';

const NO_ROWS = '{"headings":[],"data":[]}';

const PARSERS = {
  parseAddresses,
  parseForwarding,
  parseLinks,
  parseNeighbours,
  parseRoutes,
  parseVlans,
  ports: (text: string) => parseOvsPorts(text, '{"headings":[],"data":[]}'),
  bridges: (text: string) => parseOvsPorts('{"headings":[],"data":[]}', text),
  interfaces: (text: string) => parseOvsPorts(NO_ROWS, NO_ROWS, text),
  parseOvsIds,
};

for (const [name, parse] of Object.entries(PARSERS)) {
  describe(name, () => {
    test("the parser accepts any text, or reports that it is not the tool's output", () => {
      const near = fc.json().map((text) => `[${text}]`);
      fc.assert(
        fc.property(fc.oneof(fc.string(), fc.json(), near), (text) => {
          try {
            assert.ok(Array.isArray(parse(text)));
          } catch (error) {
            assert.ok(hasCode(error, 'GODWIT_HOST_LACKS'), String(error));
          }
        }),
      );
    });
  });
}

test('an unreadable entry does not hide the others', () => {
  const links = parseLinks(JSON.stringify([{ odd: 1 }, null, { ifname: 'br0', mtu: 1500 }]));
  assert.deepEqual(
    links.map(({ ifname }) => ifname),
    ['br0'],
  );
});

test('a tool with nothing to list prints nothing', () => {
  assert.deepEqual(parseNeighbours('\n'), []);
});

test("a port of Open vSwitch has its bridge, its tag, its trunks and its controller's name for it", () => {
  const uuid = (text: string): [string, string] => ['uuid', text];
  const ports = {
    headings: ['_uuid', 'name', 'tag', 'trunks', 'vlan_mode'],
    data: [
      [uuid('p1'), 'tap1', 10, ['set', []], ['set', []]],
      [uuid('p2'), 'tap2', ['set', []], ['set', [10, 20]], 'trunk'],
      [uuid('p3'), 'lost', ['set', []], ['set', []], ['set', []]],
    ],
  };
  const bridges = {
    headings: ['name', 'ports'],
    data: [['ovs0', ['set', [uuid('p1'), uuid('p2')]]]],
  };
  const ids = ['map', Object.entries({ 'iface-id': 'lp1', 'vm-id': 'v1', other: 'x' })];
  const interfaces = {
    headings: ['name', 'external_ids'],
    data: [
      ['tap1', ids],
      ['tap2', ['map', [['vm-id', 'v2']]]],
    ],
  };
  const [own, of, by] = [ports, bridges, interfaces].map((each) => JSON.stringify(each));
  assert.deepEqual(parseOvsPorts(own ?? '', of ?? '', by), [
    {
      name: 'tap1',
      bridge: 'ovs0',
      tag: 10,
      trunks: [],
      ids: { 'iface-id': 'lp1', 'vm-id': 'v1' },
    },
    { name: 'tap2', bridge: 'ovs0', tag: undefined, trunks: [10, 20], vlanMode: 'trunk' },
  ]);
});
