import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fleet } from '../../src/planner/fleet.ts';
import type { Inventory } from '../../src/planner/inventory.ts';
import { whyStuck } from '../../src/planner/why-stuck.ts';
import { GIB, guest, host } from './inventories.ts';

const why = (inventory: Inventory, rests = false) => {
  const { places } = new Fleet(inventory);
  const [place] = places;
  assert.ok(place !== undefined);
  return whyStuck(place, { near: places, room: { z: 0.5, share: 0.95 }, rests: () => rests });
};
const busy = [1, 2, 3].map((each) => guest(`g${each}`, 'a', { demand: [4, 4, 4] }));

test('the explanation is that no other host accepts guests, if that is so', () => {
  const closed = [
    host('b', { silent: true }),
    host('c', { draining: true }),
    host('d', { on: false }),
  ];
  for (const others of [[], closed]) {
    const { constraint, words } = why({ hosts: [host('a'), ...others], guests: busy });
    assert.equal(constraint, 'last-host');
    assert.match(words, /^a: is asked for more than it has, and there is no other host/);
  }
});

test('the explanation names the constraint, the guest and a host', () => {
  const hosts = [host('a'), host('b', { memoryBytes: 2 * GIB })];
  const { constraint, words } = why({ hosts, guests: busy });
  assert.equal(constraint, 'memory');
  assert.match(words, /no guest leaves; g1: b: has too little memory/);
  const full = [host('a'), host('b', { cpu: 2 })];
  assert.equal(why({ hosts: full, guests: busy }).constraint, 'cpu');
});

test('the explanation names the commonest constraint, whichever host reports it', () => {
  const hosts = [host('a'), host('b')];
  const kept = busy.map((each, at) => (at === 0 ? each : { ...each, neverMove: true }));
  const { constraint, words } = why({ hosts, guests: kept });
  assert.equal(constraint, 'never-move');
  assert.match(words, /no guest leaves; g2: its owner says/);
  assert.equal(why({ hosts, guests: busy }, true).constraint, 'rests');
});

test('the explanation is the cost if a host would be possible', () => {
  const hosts = [host('a'), host('b', { memoryBytes: 2 * GIB }), host('c')];
  const { constraint, words } = why({ hosts, guests: busy });
  assert.equal(constraint, 'cpu');
  assert.match(words, /g1: the move costs more than it brings/);
});
