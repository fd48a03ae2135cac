import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aimOf, emptiedBy } from '../../../src/controller/requests/aim.ts';
import { leftOf } from '../../../src/controller/requests/candidates.ts';
import { drainOf, guest, host, world } from './worlds.ts';

const hosts = ['a', 'b', 'c'].map((name) => host(name));
const markFor = (name: string, request: string) =>
  [name, { host: name, drainingFor: request }] as const;

test('a drain empties its host, marked or not', () => {
  assert.deepEqual(emptiedBy(drainOf('a'), world({ hosts, guests: [] })), ['a']);
});

test('an evacuation leaves out a host that was opened since, or that another request drains by now', () => {
  const request = drainOf('a', { kind: 'evacuate', hosts: ['a', 'b'] });
  const both = new Map([markFor('a', request.id), markFor('b', request.id)]);
  const now = world({ hosts, guests: [guest('g1', 'a'), guest('g2', 'b')], marks: both });
  const names = (marks: typeof both) =>
    leftOf(request, [], { ...now, marks }).candidates.map((each) => each.guest);
  assert.deepEqual(names(both), ['g1', 'g2']);
  assert.deepEqual(names(new Map([markFor('b', request.id)])), ['g2']);
  assert.deepEqual(names(new Map([markFor('a', 'r-00000009'), markFor('b', request.id)])), ['g2']);
});

test('a migration brings one guest to the requested host', () => {
  const request = drainOf('a', { kind: 'migration', hosts: [], guest: 'g1', to: ['c'] });
  const aim = aimOf(request, world({ hosts, guests: [] }));
  assert.deepEqual(aim, { kind: 'bring', guests: ['g1'], to: ['c'] });
});
