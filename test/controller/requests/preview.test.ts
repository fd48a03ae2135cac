import assert from 'node:assert/strict';
import { test } from 'node:test';
import { previewOf, storedWorld } from '../../../src/controller/requests/preview.ts';
import { drainOf, guest, host, world } from './worlds.ts';

const two = world({ hosts: ['a', 'b'].map((name) => host(name)), guests: [guest('g1', 'a')] });
const route = ({ guest: name, from, to }: { guest: string; from: string; to: string }) =>
  `${name} ${from} ${to}`;

test('the plan of a roll includes the guests that the previous hosts have sent away', () => {
  const ask = { kind: 'roll' as const, hosts: ['a', 'b'], run: 'upgrade' };
  const stay = previewOf(drainOf('a', ask), two);
  assert.deepEqual(stay.steps.map(route), ['g1 a b', 'g1 b a']);
  const back = previewOf(drainOf('a', { ...ask, comeBack: true }), two);
  assert.deepEqual(back.steps.map(route), ['g1 a b']);
});

test('the plan of an evacuation counts the marks that it will have', () => {
  const request = drainOf('a', { kind: 'evacuate', hosts: ['a'] });
  assert.deepEqual(previewOf(request, two).steps, []);
  assert.deepEqual(previewOf(request, storedWorld(request, two)).steps.map(route), ['g1 a b']);
});
