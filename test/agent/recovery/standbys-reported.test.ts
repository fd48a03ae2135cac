import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  KEY,
  ONE,
  TWO,
  Time,
  UUID,
  offer,
  standbysAt,
  stateDir,
  reasonOf,
  nextAgent,
} from './kept-standbys.ts';

test('a description from a host that the guest left is stale for recovering it and its next host, which described it', async (t) => {
  const time = new Time();
  const dir = stateDir(t);
  const kept = standbysAt(dir, time);
  kept.keep(offer('web1', { digest: ONE, uuid: UUID }), KEY);
  time.now += 1000;
  kept.keep(offer('web1', { from: 'c', digest: TWO, uuid: UUID }), KEY);
  assert.match(reasonOf(kept, 'a', ['a', 'c']), /^c reported later that it had the guest/);
  await kept.settled('c');
  assert.match(reasonOf(await nextAgent(kept, dir, time), 'a', ['c']), /^c reported later/);
  assert.equal(reasonOf(kept, 'c', ['a', 'c']), 'fresh');
  // A host that made up a guest of that name outdates no other host's description.
  const namesake = standbysAt(stateDir(t), time);
  namesake.keep(offer('web1', { digest: ONE, uuid: UUID }), KEY);
  time.now += 1000;
  namesake.keep(offer('web1', { from: 'm', digest: TWO }), KEY);
  assert.equal(reasonOf(namesake, 'a', ['m']), 'fresh');
});

test("a reachable host cannot make another host's description stale, even if the two confirm in turns", (t) => {
  const time = new Time();
  const kept = standbysAt(stateDir(t), time);
  const beat = (from: string, digest: string) => {
    time.now += 4000;
    kept.confirm(from, { guests: [{ guest: 'web1', digest }], withdrawn: [] });
  };
  kept.keep(offer('web1', { digest: ONE, uuid: UUID }), KEY);
  kept.keep(offer('web1', { from: 'm', digest: TWO, uuid: UUID }), KEY);
  for (let index = 0; index < 3; index += 1) {
    beat('a', ONE);
    beat('m', TWO);
  }
  // Host a dies, and m with it, or after it.
  assert.equal(reasonOf(kept, 'a', ['a', 'm']), 'fresh');
  for (let index = 0; index < 10; index += 1) beat('m', TWO);
  assert.equal(reasonOf(kept, 'a', ['a']), 'fresh');
  assert.equal(reasonOf(kept, 'a', []), 'fresh');
  assert.match(reasonOf(kept, 'a', ['a', 'm']), /^m reported later/);
});

test('a host that reports a guest again after an absence had it later, even without a new description', (t) => {
  const time = new Time();
  const kept = standbysAt(stateDir(t), time);
  kept.keep(offer('web1', { from: 'c', digest: TWO, uuid: UUID }), KEY);
  time.now += 60_000;
  kept.keep(offer('web1', { digest: ONE, uuid: UUID }), KEY);
  assert.equal(reasonOf(kept, 'a', ['c']), 'fresh');
  time.now += 20_000;
  kept.confirm('c', { guests: [{ guest: 'web1', digest: '3'.repeat(64) }], withdrawn: [] });
  assert.match(reasonOf(kept, 'a', ['c']), /^c reported later/);
});
