import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCpu, holds, objection, wordsOf } from '../../src/planner/constraints.ts';
import { Fleet } from '../../src/planner/fleet.ts';
import type { PlannerGuest, PlannerHost } from '../../src/planner/inventory.ts';
import { GIB, guest, host } from './inventories.ts';

/** What keeps this guest from going from a to b. */
function keeps(more: Partial<PlannerGuest>, target: Partial<PlannerHost> = {}): unknown {
  const fleet = new Fleet({
    hosts: [host('a'), host('b', target)],
    guests: [guest('web', 'a', more), guest('db', 'b', { apart: ['data'] })],
  });
  return holds(fleet.seats[0]!) ?? objection(fleet.seats[0]!, fleet.places[1]!);
}

test('each constraint is named', () => {
  assert.equal(keeps({}), undefined);
  assert.equal(keeps({ memoryBytes: 61 * GIB }), 'memory');
  assert.equal(keeps({ memoryBytes: 60 * GIB }), undefined);
  assert.equal(keeps({ processor: 'new' }, { processors: ['old'] }), 'processor');
  assert.equal(keeps({ networks: ['front'] }, { networks: ['back'] }), 'network');
  assert.equal(keeps({ neverMove: true }), 'never-move');
  assert.equal(keeps({ pinnedTo: ['a'] }), 'pinned');
  assert.equal(keeps({ apart: ['data'] }), 'apart');
  assert.equal(keeps({ moving: true }), 'moving');
  assert.equal(keeps({ demand: [Number.NaN] }), 'unknown-load');
  assert.equal(keeps({ left: [{ host: 'b', secondsAgo: 7199 }] }), 'came-from');
  assert.equal(keeps({ left: [{ host: 'b', secondsAgo: 7200 }] }), undefined);
  assert.equal(keeps({}, { silent: true }), 'silent');
  assert.equal(keeps({}, { draining: true }), 'draining');
  assert.equal(keeps({}, { realm: 'vc1' }), 'realm');
});

test('unknown facts do not exclude a host', () => {
  assert.equal(keeps({ processor: 'new', networks: ['front'] }), undefined);
});

test('a guest stays with its group', () => {
  const fleet = new Fleet({
    hosts: [host('a')],
    guests: [guest('one', 'a', { together: 'g' }), guest('two', 'a', { together: 'g' })],
  });
  assert.equal(holds(fleet.seats[0]!), 'together');
});

test('processors have room up to a share of their capacity, and a core may be too slow', () => {
  const fleet = new Fleet({
    hosts: [host('a'), host('b', { cpu: 2 }), host('c', { coreCpu: 0.5, cpu: 2 })],
    guests: [guest('web', 'a', { cpu: 1 })],
  });
  const [web] = fleet.seats;
  assert.equal(hasCpu(web!, fleet.places[1]!, { z: 1, share: 1 }), true);
  assert.equal(hasCpu(web!, fleet.places[1]!, { z: 1, share: 0.4 }), false);
  const slow = new Fleet({
    hosts: [host('a'), host('c', { coreCpu: 0.5 })],
    guests: [guest('web', 'a', { cpu: 0.9, demand: [0.9, 0.9] })],
  });
  assert.equal(hasCpu(slow.seats[0]!, slow.places[1]!, { z: 1, share: 1 }), false);
});

test('every constraint has a text', () => {
  assert.match(wordsOf('memory'), /on both sides/);
});
