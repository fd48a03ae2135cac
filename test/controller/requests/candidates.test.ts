import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leftOf } from '../../../src/controller/requests/candidates.ts';
import { step } from '../../../src/controller/requests/step.ts';
import { drainOf, guest, host, world } from './worlds.ts';

const hosts = ['a', 'b', 'c'].map((name) => host(name));

test('labels that contradict each other keep their guest in place, and are named; the others move', () => {
  const labels = { g1: { 'godwit/never-move': 'true', 'godwit/window': '01:00-02:00' } };
  const now = world({ hosts, guests: [guest('g1', 'a'), guest('g2', 'a')], labels });
  const none = { moves: [], sights: new Map(), cancel: 'no', epoch: 1 } as const;
  const ids = ['m-00000001', 'm-00000002'];
  const { request, moves } = step({ ...none, request: drainOf('a'), world: now, ids });
  assert.deepEqual(
    moves.map((each) => each.guest),
    ['g2'],
  );
  assert.equal(request.stays[0]?.guest, 'g1');
  assert.match(request.stays[0]?.words ?? '', /contradict each other/);
});

test('a guest of several emptied hosts is listed once, whatever hosts list it', () => {
  const both = guest('g1', 'a', {
    migration: 'm-00000009',
    at: [
      { host: 'a', state: 'migrating' },
      { host: 'b', state: 'incoming' },
    ],
  });
  const guests = [both, guest('g2', 'b'), guest('g3', 'c')];
  const request = drainOf('a', { kind: 'evacuate', hosts: ['a', 'b'] });
  const marks = new Map(['a', 'b'].map((at) => [at, { host: at, drainingFor: request.id }]));
  const { candidates, waiting } = leftOf(request, [], world({ hosts, guests, marks }));
  assert.deepEqual(
    [candidates, waiting].map((all) => all.map((each) => each.guest)),
    [['g2'], ['g1']],
  );
});
