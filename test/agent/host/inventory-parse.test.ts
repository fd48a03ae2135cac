import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bridgesOf, parseLinks, parseProcessor } from '../../../src/agent/host/inventory-parse.ts';

test('processors are counted, and the first one yields model and features', () => {
  const one = (index: number) =>
    `processor\t: ${index}\nmodel name\t: AMD EPYC 7763\nflags\t\t: fpu vme avx2\n\n`;
  assert.deepEqual(parseProcessor(one(0) + one(1)), {
    model: 'AMD EPYC 7763',
    cores: 2,
    features: ['fpu', 'vme', 'avx2'],
  });
});

test('an ARM processor has features under another name', () => {
  const text = 'processor\t: 0\nFeatures\t: fp asimd\nCPU part\t: 0xd0c\n';
  assert.deepEqual(parseProcessor(text), { model: '0xd0c', cores: 1, features: ['fp', 'asimd'] });
});

test('links come with kind, master and addresses', () => {
  const text = JSON.stringify([
    { ifname: 'lo', mtu: 65_536, flags: ['LOOPBACK', 'UP'], link_type: 'loopback' },
    {
      ifname: 'br0',
      mtu: 1500,
      flags: ['UP'],
      link_type: 'ether',
      linkinfo: { info_kind: 'bridge' },
      addr_info: [{ family: 'inet', local: '10.0.0.1', prefixlen: 24 }, {}],
    },
    { ifname: 'tap0', mtu: 1500, flags: [], link_type: 'ether', master: 'br0' },
  ]);
  const links = parseLinks(text);
  assert.deepEqual(links[1], {
    name: 'br0',
    kind: 'bridge',
    mtu: 1500,
    up: true,
    addresses: ['10.0.0.1/24'],
  });
  assert.equal(links[2]?.master, 'br0');
  assert.deepEqual(bridgesOf(links), ['br0']);
});

test('any text is parsed without an exception', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      parseProcessor(text);
      assert.ok(Array.isArray(parseLinks(text)));
    }),
  );
});
