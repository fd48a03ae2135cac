import assert from 'node:assert/strict';
import { test } from 'node:test';
import { godwitError } from '../../../src/errors.ts';
import { until } from '../../until.ts';
import { historyOf, listing, noReport, summary } from './hosts.ts';

const COUNT = 30;
const newestFirst = (side: 'source' | 'destination', from: (nth: number) => string) =>
  Array.from({ length: COUNT }, (_, index) => {
    const nth = COUNT - index;
    return summary(nth, { side, from: from(nth) });
  });

const cut = () => godwitError('GODWIT_UNREACHABLE', { peer: 'a', address: 'a:1', reason: 'cut' });

test('a first read that is interrupted, between pages or reports, is done again to the oldest', async (t) => {
  const unhappy = { pages: 1, reports: 15 };
  const all = newestFirst('source', () => 'a');
  const a = listing(all, (page) => {
    if (page === 1 && unhappy.pages-- === 1) throw cut();
  });
  const report = () => Promise.reject(unhappy.reports-- === 1 ? cut() : noReport());
  const { history, ids } = await historyOf(t, { a: { ...a, report } });
  history.followed('a');
  history.start();
  await until('all of them', 20_000, async () =>
    (await ids()).length === COUNT ? true : undefined,
  );
  assert.ok(unhappy.pages < 1 && unhappy.reports < 1, 'both were interrupted');
});

test('a destination tells what a lost source cannot, though newer ones are left to a source that is up', async (t) => {
  const b = listing(newestFirst('destination', (nth) => (nth > 10 ? 'up' : 'lost')));
  const { history, store, ids } = await historyOf(t, { b });
  const nothing = { version: null, cores: null, memory_bytes: null, memory_available_bytes: null };
  const of = { ...nothing, reason: null, info: null, guests: 0, since: 0, changed_at: 0, epoch: 1 };
  const up = { ...of, name: 'up', address: 'up:1', shard: 1, state: 'up' };
  await store.db.insertInto('hosts').values(up).execute();
  history.followed('b');
  history.start();
  await until('those of the lost source', 20_000, async () =>
    (await ids()).length === 10 ? true : undefined,
  );
  assert.equal((await ids()).at(-1), 'm-00000010');
});
