import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fleet } from '../../src/planner/fleet.ts';
import { moveOf, planOf, refusal } from '../../src/planner/plan.ts';
import { guest, host } from './inventories.ts';

test('a plan lists the hosts that it wakes and empties, and its missing data', () => {
  const fleet = new Fleet({
    hosts: [host('a'), host('b', { on: false }), host('c')],
    guests: [guest('web', 'a'), guest('odd', 'c', { demand: [] }), guest('lost', 'gone')],
  });
  const [web] = fleet.seats;
  const [a, b, c] = fleet.places;
  fleet.move(web!, b!);
  const move = moveOf(web!, { reason: 'drain', words: 'a is drained', alternatives: [c!, a!, b!] });
  assert.deepEqual([move.from, move.to, move.alternatives], ['a', 'b', ['c', 'a']]);
  const plan = planOf(fleet, [move], [refusal('cpu', 'web', 'a')]);
  assert.deepEqual([plan.wake, plan.emptied], [['b'], ['a']]);
  assert.deepEqual(
    plan.refusals.map(({ constraint }) => constraint),
    ['cpu', 'unknown-load', 'unknown-host'],
  );
});
