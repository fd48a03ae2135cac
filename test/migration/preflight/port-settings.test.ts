import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeUnjudgedSettings } from '../../../src/migration/preflight/port-settings.ts';
import type { NicNetwork } from '../../../src/protocol/network.ts';
import type { PortSettings } from '../../../src/protocol/port-settings.ts';

const nicWith = (settings?: PortSettings): NicNetwork[] => [
  {
    id: 'net0',
    mac: '52:54:00:00:00:02',
    port: 'tap1',
    addresses: [],
    attachment: { kind: 'bridge', bridge: 'br0', mtu: 1500, ...(settings && { settings }) },
  },
];

test('a destination of an earlier build is refused for a guest with an isolated port', () => {
  const [check, ...more] = judgeUnjudgedSettings('b', nicWith({ isolated: true, hairpin: true }));
  assert.deepEqual(more, []);
  assert.equal(check?.verdict, 'refuse');
  assert.match(check?.error?.message ?? '', /isolated on, hairpin on of the port of net0/);
  assert.match(check?.error?.hint ?? '', /Upgrade Godwit on b/);
});

test('a setting that isolates no guests causes a warning, and one that was checked does not', () => {
  const nics = nicWith({ hairpin: true });
  assert.deepEqual(
    judgeUnjudgedSettings('b', nics, {}).map(({ verdict }) => verdict),
    ['warn'],
  );
  assert.deepEqual(judgeUnjudgedSettings('b', nics, { net0: ['hairpin'] }), []);
  assert.deepEqual(judgeUnjudgedSettings('b', nicWith()), []);
  assert.deepEqual(judgeUnjudgedSettings('b', undefined), []);
});
