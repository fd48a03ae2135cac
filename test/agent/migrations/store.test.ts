import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { nextOrdinal, oldestFirst, MigrationStore } from '../../../src/agent/migrations/store.ts';
import { systemClock } from '../../../src/clock.ts';
import { openDestinationJournal } from '../../../src/host/journal/journal.ts';
import { ADMISSION, RECORDS } from '../../model/events.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const KEPT = 1000;

const ARRIVED = ['preparing', 'prepared', 'armed0', 'committed', 'running'] as const;

/** A migration to this host with these records. */
async function incoming(
  store: MigrationStore,
  at: number,
  names: readonly (keyof typeof RECORDS)[],
  reported?: boolean,
): Promise<string> {
  const id = `m-${String(at).padStart(8, '0')}`;
  const admission = { ...ADMISSION, id };
  const { dir } = store.add({
    version: 1,
    id,
    side: 'destination',
    fromHost: 'a',
    toHost: 'b',
    peer: { name: 'a', address: 'a:1' },
    createdAt: new Date(at * 1000).toISOString(),
    admission,
  });
  const { journal } = openDestinationJournal(dir, systemClock);
  journal.write({ type: 'admitted', admission, host: 'b' });
  for (const name of names) journal.write(RECORDS[name]);
  if (reported !== undefined) journal.write({ type: 'finished', told: reported });
  await journal.close();
  return id;
}

async function ended(store: MigrationStore, at: number, reported: boolean): Promise<string> {
  return incoming(store, at, ARRIVED, reported);
}

test('a guest has arrived once it runs here, and not if its migration ended before', async (t) => {
  const store = new MigrationStore(tempDir(t), 'b', systemClock);
  const arrival = async (at: number, names: Parameters<typeof incoming>[2]): Promise<string> =>
    store.arrival(await incoming(store, at, names));
  assert.equal(await arrival(1, []), 'open');
  assert.equal(await arrival(2, ['preparing', 'prepared']), 'open');
  assert.equal(await arrival(3, ['preparing', 'prepared', 'armed0']), 'open');
  assert.equal(await arrival(4, ARRIVED), 'arrived');
  assert.equal(store.arrival(await ended(store, 5, true)), 'arrived');
  assert.equal(await arrival(6, ['preparing', 'refused', 'released']), 'stayed-away');
  assert.equal(store.arrival('m-00000007'), 'stayed-away');
});

test('migrations are in the order of their arrival, even if the clock was set back', async (t) => {
  const stateDir = tempDir(t);
  const store = new MigrationStore(stateDir, 'b', systemClock);
  const came = [];
  for (const at of [5, 9, 2, 3]) came.push(await incoming(store, at, []));
  const idsOf = (each: MigrationStore): string[] => each.all().map(({ id }) => id);
  assert.deepEqual(idsOf(store), came);
  const reopened = new MigrationStore(stateDir, 'b', systemClock);
  assert.deepEqual(idsOf(reopened), came);
  came.push(await incoming(reopened, 1, []));
  assert.deepEqual(idsOf(reopened), came);
});

test('migrations of a build without numbers come first, by their times', () => {
  const made = (id: string, createdAt: string, ordinal?: number) => ({
    id,
    request: { createdAt, ordinal },
  });
  const all = [
    made('d', '2026-01-03', 2),
    made('b', '2026-01-09'),
    made('c', '2026-01-04', 1),
    made('a', '2026-01-08'),
  ];
  assert.deepEqual(
    oldestFirst(all).map(({ id }) => id),
    ['a', 'b', 'c', 'd'],
  );
  assert.equal(nextOrdinal(oldestFirst(all)), 3);
  assert.equal(nextOrdinal([]), 1);
});

describe('forgotten migrations', () => {
  test('an agent forgets the oldest ended migration, and never one that the other host may still need', async (t) => {
    const stateDir = tempDir(t);
    const store = new MigrationStore(stateDir, 'b', systemClock);
    const alone = await ended(store, 1, false);
    const reported = await ended(store, 2, true);
    for (let at = 3; at < KEPT + 3; at += 1) await ended(store, at, true);
    store.prune();
    assert.equal(store.get(reported), undefined);
    assert.notEqual(store.get(alone), undefined);
    assert.equal(store.all().length, KEPT + 1);
    // What was forgotten is not begun anew, by an agent that was started again either.
    for (const each of [store, new MigrationStore(stateDir, 'b', systemClock)]) {
      await assert.rejects(ended(each, 2, true), { code: 'GODWIT_ID_REUSED' });
      assert.equal(each.get(reported), undefined);
    }
  });
});
