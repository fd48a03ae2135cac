import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { Standbys } from '../../../src/agent/recovery/standbys.ts';
import {
  KEY,
  ONE,
  TWO,
  Time,
  offer,
  standbysAt,
  stateDir,
  PLACE_BYTES,
  reasonOf,
  nextAgent,
  names,
} from './kept-standbys.ts';

test('the newest description of a guest counts and outlives the agent', (t) => {
  const dir = stateDir(t);
  const time = new Time();
  const kept = standbysAt(dir, time);
  kept.keep(offer('web1'), KEY);
  kept.keep(offer('web1', { memoryBytes: 8 }), KEY);
  kept.keep(offer('web1', { from: 'c' }), KEY);
  const again = standbysAt(dir, time);
  const listed = again.list().map(({ standby }) => `${standby.from} ${standby.memoryBytes}`);
  assert.deepEqual(listed.toSorted(), ['a 8', 'c 7']);
  assert.equal(again.need('a', 'web1').kept.placeKey, KEY);
  again.forget('a', 'web1');
  assert.throws(() => again.need('a', 'web1'), { code: 'GODWIT_STANDBY_NONE' });
  assert.equal(standbysAt(dir, time).list().length, 1);
});

test("a file that is damaged, or another guest's, starts nothing", (t) => {
  const dir = stateDir(t);
  const time = new Time();
  const kept = standbysAt(dir, time);
  kept.keep(offer('web1'), KEY);
  kept.keep(offer('web2'), KEY);
  writeFileSync(path.join(dir, 'standbys', 'a', 'web1.json'), '{"version":1');
  const other = { ...offer('web3'), version: 1, keptAt: '2026-11-24T10:00:00.000Z', placeKey: KEY };
  writeFileSync(path.join(dir, 'standbys', 'a', 'web2.json'), JSON.stringify(other));
  for (const guest of ['web1', 'web2'])
    assert.throws(() => standbysAt(dir, time).need('a', guest), {
      code: 'GODWIT_STANDBY_NONE',
    });
});

test("one host does not fill another host's disk with guests, and a released place is free again", (t) => {
  const dir = stateDir(t);
  const kept = standbysAt(dir, new Time(), {
    room: { maxBytesOfOne: 8 * PLACE_BYTES, maxBytes: 64 * PLACE_BYTES },
  });
  for (let index = 0; index < 8; index += 1) kept.keep(offer(`g${index}`), KEY);
  assert.throws(
    () => kept.keep(offer('more'), KEY),
    /bytes of descriptions of guests of a .*131072/,
  );
  kept.keep(offer('g7', { memoryBytes: 9 }), KEY);
  kept.keep(offer('web1', { from: 'c' }), KEY);
  assert.equal(kept.list().length, 9);
  kept.confirm('a', { guests: [], withdrawn: ['g0', 'nobody'] });
  kept.keep(offer('more'), KEY);
  assert.equal(kept.list().length, 9);
  const all = ['more', ...Array.from({ length: 8 }, (_, index) => `g${index}`)];
  kept.confirm('a', { guests: [], withdrawn: all });
  assert.deepEqual(names(kept), ['c web1']);
  assert.equal(existsSync(path.join(dir, 'standbys', 'a')), false);
});

test("one host withdraws and confirms its own guests, and not another host's", (t) => {
  const kept = standbysAt(stateDir(t));
  kept.keep(offer('web1', { digest: ONE }), KEY);
  const guests = [{ guest: 'web1', digest: ONE }];
  assert.deepEqual(kept.confirm('c', { guests, withdrawn: ['web1'] }), ['web1']);
  assert.deepEqual(names(kept), ['a web1']);
});

test('a description stays fresh with each heartbeat, and is stale five minutes after the last one', (t) => {
  const time = new Time();
  const kept = standbysAt(stateDir(t), time);
  kept.keep(offer('web1', { digest: ONE }), KEY);
  time.now += 300_000;
  assert.equal(reasonOf(kept), 'fresh');
  time.now += 1;
  assert.match(reasonOf(kept), /lived for 300 s/);
  const guests = [{ guest: 'web1', digest: ONE }];
  assert.deepEqual(kept.confirm('a', { guests, withdrawn: [] }), []);
  assert.equal(reasonOf(kept), 'fresh');
  // The guest's hypervisor does not answer its host: nothing is confirmed.
  time.now += 300_001;
  kept.confirm('a', { guests: [{ guest: 'web1' }], withdrawn: [] });
  assert.match(reasonOf(kept), /lived for 300 s/);
});

test('a change that its host reported outlives the agent, and another description ends it', async (t) => {
  const dir = stateDir(t);
  const time = new Time();
  const kept = standbysAt(dir, time);
  kept.keep(offer('web1', { digest: ONE }), KEY);
  const changed = { guests: [{ guest: 'web1', digest: TWO }], withdrawn: [] };
  assert.deepEqual(kept.confirm('a', changed), ['web1']);
  const again = await nextAgent(kept, dir, time);
  assert.match(reasonOf(again), /have changed since/);
  again.keep(offer('web1', { digest: TWO }), KEY);
  assert.equal(reasonOf(again), 'fresh');
});

test('the age of a description continues over a restart of the agent, even if the wall clock changes', async (t) => {
  const dir = stateDir(t);
  const time = new Time();
  const kept = standbysAt(dir, time);
  kept.keep(offer('web1', { digest: ONE }), KEY);
  await kept.settled('a');
  time.set = -3_600_000;
  time.now += 299_000;
  assert.equal(reasonOf(standbysAt(dir, time)), 'fresh');
  time.now += 2000;
  assert.match(reasonOf(standbysAt(dir, time)), /lived for 301 s/);
});

test('a confirmation from before a restart of this host is never fresh, and a repeated one is', async (t) => {
  const dir = stateDir(t);
  const time = new Time();
  const kept = standbysAt(dir, time);
  kept.keep(offer('web1', { digest: ONE }), KEY);
  await kept.settled('a');
  // The host was off for hours, and its wall clock starts where it stopped: nobody has set it yet.
  time.bootId = 'boot-2';
  time.now += 20_000;
  const again = standbysAt(dir, time);
  assert.match(reasonOf(again), /was restarted since/);
  again.confirm('a', { guests: [{ guest: 'web1', digest: ONE }], withdrawn: [] });
  assert.equal(reasonOf(again), 'fresh');
  await again.settled('a');
  // A confirmation that an earlier build wrote has no moment of a boot.
  const file = path.join(dir, 'standbys', 'a', 'confirmed');
  const confirmedAt = new Date(time.wallMs()).toISOString();
  writeFileSync(
    file,
    JSON.stringify({ version: 1, guests: { web1: { digest: ONE, confirmedAt } } }),
  );
  assert.match(reasonOf(standbysAt(dir, time)), /was restarted since/);
});

test('a description of an earlier build is kept, and counts as never confirmed', (t) => {
  const dir = stateDir(t);
  const time = new Time();
  const kept = standbysAt(dir, time);
  kept.keep(offer('web1'), KEY);
  assert.match(reasonOf(kept), /never confirmed/);
});

test('stamps of images belong to the confirmation that they came with, and outlive the agent', async (t) => {
  const dir = stateDir(t);
  const time = new Time();
  const kept = standbysAt(dir, time);
  kept.keep(offer('web1', { digest: ONE }), KEY);
  const stamps = (bytes: number) => [{ node: 'base', bytes, writtenNs: '1700000000123456789' }];
  const beat = (digest: string | undefined, bytes: number) =>
    kept.confirm('a', {
      guests: [{ guest: 'web1', ...(digest !== undefined && { digest }), images: stamps(bytes) }],
      withdrawn: [],
    });
  const bytesKept = (standbys: Standbys) => standbys.need('a', 'web1').view.images?.[0]?.bytes;
  assert.equal(bytesKept(kept), undefined);
  time.now += 60_000;
  beat(ONE, 1);
  // What is not confirmed changes nothing.
  beat(undefined, 2);
  beat(TWO, 3);
  assert.equal(bytesKept(kept), 1);
  assert.equal(bytesKept(await nextAgent(kept, dir, time)), 1);
});

test('a few hosts cannot take all the room, and each host has its share', (t) => {
  const dir = stateDir(t);
  const kept = standbysAt(dir, new Time(), {
    room: { maxBytesOfOne: 8 * PLACE_BYTES, maxBytes: 8 * PLACE_BYTES },
  });
  for (let index = 0; index < 8; index += 1) kept.keep(offer(`g${index}`), KEY);
  assert.throws(() => kept.keep(offer('more'), KEY), /guests of a .*131072/);
  // Two hosts have four places each.
  for (let index = 0; index < 4; index += 1) kept.keep(offer(`c${index}`, { from: 'c' }), KEY);
  assert.throws(() => kept.keep(offer('c4', { from: 'c' }), KEY), /guests of all hosts/);
  const expected = ['a', 'c'].flatMap((from) =>
    [0, 1, 2, 3].map((index) => `${from} ${from === 'a' ? 'g' : from}${index}`),
  );
  assert.deepEqual(names(kept).toSorted(), expected.toSorted());
  assert.deepEqual(names(standbysAt(dir)).toSorted(), expected.toSorted());
  // The host whose place was taken learns of it.
  assert.deepEqual(kept.confirm('a', { guests: [{ guest: 'g7' }], withdrawn: [] }), ['g7']);
});

test('a large description counts by its size', (t) => {
  const kept = standbysAt(stateDir(t), new Time(), {
    room: { maxBytesOfOne: 3 * PLACE_BYTES, maxBytes: 64 * PLACE_BYTES },
  });
  const large = offer('web1');
  const spec = { xml: 'x'.repeat(2 * PLACE_BYTES) };
  const description = { ...large.preparation.description, spec };
  kept.keep({ ...large, preparation: { ...large.preparation, description } }, KEY);
  assert.throws(() => kept.keep(offer('web2'), KEY), { code: 'GODWIT_OVERLOADED' });
});

test('a description is stale after two heartbeats of its living host without it, even for the next agent', async (t) => {
  const dir = stateDir(t);
  const time = new Time();
  const kept = standbysAt(dir, time);
  kept.keep(offer('web1', { digest: ONE }), KEY);
  const beat = (digest?: string) => {
    time.now += 10_000;
    kept.confirm('a', {
      guests: [{ guest: 'web1', ...(digest !== undefined && { digest }) }],
      withdrawn: [],
    });
  };
  beat();
  assert.equal(reasonOf(kept), 'fresh');
  beat();
  assert.match(reasonOf(kept), /did not confirm it in its last 2 heartbeats/);
  assert.match(
    reasonOf(await nextAgent(kept, dir, time)),
    /did not confirm it in its last 2 heartbeats/,
  );
  beat(ONE);
  assert.equal(reasonOf(kept), 'fresh');
  assert.equal(reasonOf(await nextAgent(kept, dir, time)), 'fresh');
});
