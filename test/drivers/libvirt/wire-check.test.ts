import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wireChecks } from '../../../src/drivers/libvirt/wire-check.ts';
import { ORDER } from './support/order.ts';

const order = { ...ORDER, wire: true };
const versions = { source: '9.0.0', destination: '11.3.0' };

test('a guest takes the wire if both libvirts migrate over a socket', () => {
  const [found, ...more] = wireChecks({ order, versions });
  assert.deepEqual([found?.name, found?.verdict, more], ['path', 'pass', []]);
  assert.deepEqual(wireChecks({ order: ORDER, versions }), []);
});

test('each end whose libvirt is too old is named, with its version', () => {
  const old = { source: '6.7.0', destination: '4.10.0' };
  const found = wireChecks({ order, versions: old });
  assert.deepEqual(
    found.map(({ side, verdict }) => [side, verdict]),
    [
      ['source', 'refuse'],
      ['destination', 'refuse'],
    ],
  );
  assert.match(found[1]?.evidence ?? '', /libvirt 4\.10\.0 of b/);
  assert.match(found[1]?.error?.hint ?? '', /libvirt 6\.8/);
  const first = { source: '6.8.0', destination: '10.0.0' };
  assert.equal(wireChecks({ order, versions: first })[0]?.verdict, 'pass');
});
