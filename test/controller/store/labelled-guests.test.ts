import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelledGuests } from '../../../src/controller/store/standbys.ts';
import { guestRow, insertGuests, names, storeWith } from '../recover/scene.ts';

test('guests of one name on many hosts are merged once each, in pieces of one name', async (t) => {
  const [hosts, guests] = [names('h', 30), names('x', 40)];
  const store = await storeWith(t, hosts, {});
  // Containers of managers have no uuid: each host has its own.
  const rows = hosts.flatMap((host) =>
    guests.map((name) => {
      const { info, ...row } = guestRow(host, name);
      return { ...row, info: JSON.stringify({ ...JSON.parse(info), manager: 'podman' }) };
    }),
  );
  await insertGuests(store, rows);
  let turns = 0;
  const labelled = await labelledGuests(store, hosts, async () => void (turns += 1));
  for (const host of hosts) assert.deepEqual(labelled.get(host)?.covered, guests);
  // One piece of each host and of each 8 hosts, of each name, and of each 32 names that are read at once.
  assert.equal(turns, hosts.length + 4 + guests.length + 2);
});

test('names that a host reports twice count once, and a guest on its way to a host does not count as its guest', async (t) => {
  const store = await storeWith(t, ['a', 'b'], { a: ['web1'] });
  const twice = ['1', '2'].map((uuid) => ({ ...guestRow('a', 'web2'), uuid }));
  await insertGuests(store, [...twice, { ...guestRow('b', 'web3'), state: 'incoming' }]);
  const labelled = await labelledGuests(store, ['a', 'b'], async () => {});
  assert.deepEqual(labelled.get('a')?.covered, ['web1', 'web2']);
  assert.deepEqual(labelled.get('b')?.covered, []);
});

test('hosts without a labelled guest take one statement for each 8 of them', async (t) => {
  const hosts = names('h', 100);
  const store = await storeWith(t, hosts, { h00000: ['web1'] });
  let turns = 0;
  const labelled = await labelledGuests(store, hosts, async () => void (turns += 1));
  assert.deepEqual([...labelled.keys()], ['h00000']);
  assert.equal(turns, 13 + 1);
});
