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

test('an interrupted first read, between pages or reports, is repeated to the oldest', async (t) => {
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

test('a destination reports for a lost source, though newer reports are left to a source that is up', async (t) => {
  const b = listing(newestFirst('destination', (nth) => (nth > 10 ? 'up' : 'lost')));
  const { history, store, ids } = await historyOf(t, { b });
  const nothing = {
    site: null,
    version: null,
    cores: null,
    memory_bytes: null,
    memory_available_bytes: null,
  };
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

/** Answers to no call until whoever asks goes. */
const silence = (options: { signal?: AbortSignal } = {}): Promise<never> =>
  new Promise((_resolve, reject) => {
    options.signal?.addEventListener('abort', () => reject(cut()), { once: true });
  });

test('the migrations of a host are written while more silent hosts are waited for than fit one look', async (t) => {
  let asked = 0;
  // The first look at each fails by its own time limit, and any later one has no answer within the test.
  const silent = (_call: unknown, options?: { signal?: AbortSignal }) =>
    (asked += 1) <= 20 ? Promise.reject(cut()) : silence(options);
  const names = Array.from({ length: 20 }, (_none, nth) => `silent${nth}`);
  const agents: Parameters<typeof historyOf>[1] = {
    ...Object.fromEntries(names.map((name) => [name, { migrations: silent }] as const)),
    a: listing([summary(1)]),
  };
  const { history, ids } = await historyOf(t, agents);
  for (const name of names) history.followed(name);
  history.start();
  await until('the silent ones to be waited for', 20_000, async () =>
    asked >= 24 ? true : undefined,
  );
  history.followed('a');
  await until('what the other one reports', 20_000, async () => (await ids())[0]);
});

test('a host that is no longer followed is asked no further, and not looked at again', async (t) => {
  let asked = 0;
  const a = {
    migrations: (_call: unknown, options?: { signal?: AbortSignal }) => {
      asked += 1;
      return silence(options);
    },
  };
  const { history, ids } = await historyOf(t, { a, b: listing([summary(1, { from: 'b' })]) });
  history.followed('a');
  history.start();
  await until('the look', 20_000, async () => (asked === 1 ? true : undefined));
  history.left('a');
  history.followed('b');
  // Turns pass, and with them the time after which a silent host is looked at again.
  await until('what b reports', 20_000, async () => (await ids())[0]);
  history.heard('a', summary(2));
  history.followed('b');
  await history.close();
  assert.equal(asked, 1);
});
