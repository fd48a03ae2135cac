import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clusterMode, sightOfNode } from '../../../src/drivers/hyperv/node-sight.ts';
import {
  maintenanceMode,
  maintenanceSight,
} from '../../../src/protocol/public/hosts/managed-host.ts';

const node = (state: string, drain: string) => ({ state, drain, code: drain === 'Failed' ? 5 : 0 });

test('a node is drained by its own report, and one that is up again was resumed by another administrator', () => {
  assert.deepEqual(sightOfNode(node('Paused', 'Completed')), { state: 'in' });
  assert.deepEqual(sightOfNode(node('Paused', 'InProgress')), { state: 'entering' });
  assert.deepEqual(sightOfNode(node('Paused', 'NotInitiated')), { state: 'out' });
  assert.equal(sightOfNode(node('Up', 'NotInitiated')).failed?.cancelled, true);
  const failed = sightOfNode(node('Paused', 'Failed'));
  assert.equal(failed.failed?.cancelled, false);
  assert.match(failed.failed?.reason ?? '', /error 5/);
});

test('guests that are not roles of the cluster are left to the caller that drains the host', () => {
  const guests = [
    { name: 'web1', clustered: true },
    { name: 'web2', clustered: false },
    { name: 'no name of Godwit’s', clustered: false },
  ];
  const mode = clusterMode({ name: 'hvc' }, guests);
  assert.deepEqual(mode, { moves: 'manager', words: 'the cluster hvc', leaves: ['web2'] });
});

test('any answer of a host yields a valid result', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.integer(), fc.string(), (state, drain, code, name) => {
      assert.doesNotThrow(() => maintenanceSight.parse(sightOfNode({ state, drain, code })));
      assert.doesNotThrow(() =>
        maintenanceMode.parse(clusterMode({ name }, [{ name, clustered: false }])),
      );
    }),
  );
});
