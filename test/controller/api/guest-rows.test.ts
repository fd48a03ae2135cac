import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { OverviewReader } from '../../../src/controller/api/overview.ts';
import {
  readGuest,
  readGuests,
  type ReadHandlerDependencies,
} from '../../../src/controller/api/reads.ts';
import { SETTLED_MS } from '../../../src/controller/inventory/claims.ts';
import { guestRowOf } from '../../../src/controller/inventory/pending.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import { silentLog } from '../../../src/log.ts';
import { guestInfo, type GuestInfo } from '../../../src/protocol/public/hosts/host.ts';
import { HOST } from '../inventory/hosts.ts';

const MIGRATION = 'm-0123456789ab';
const moving = { from: 'a', to: 'b', runsAt: 'source', epoch: 2 };

function report(name: string, host: string, more: Record<string, unknown> = {}): GuestInfo {
  const known = { name, host, uuid: `u-${name}`, driver: 'qemu', state: 'running' };
  return guestInfo.parse({ ...known, ...more });
}

/** What a controller has heard, `ageMs` ago. */
async function heard(
  t: TestContext,
  reports: readonly GuestInfo[],
  ageMs = 0,
): Promise<ReadHandlerDependencies> {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  const changed = { changed_at: Date.now() - ageMs, epoch: 1 };
  const hosts = ['a', 'b'].map((name) => ({ ...HOST, name, ...changed }));
  await store.db.insertInto('hosts').values(hosts).execute();
  const rows = reports.map((each) => ({ ...guestRowOf(each.host, each), ...changed }));
  await store.db.insertInto('guests').values(rows).execute();
  await store.db
    .insertInto('host_leases')
    .values({ shard: HOST.shard, owner: '', epoch: 1, lease_until: 0 })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const inventory = { samplesOf: () => undefined, writtenTo: '0123456789ab-7' };
  return { store, inventory, config: {} } as unknown as ReadHandlerDependencies;
}

type Query = Parameters<typeof readGuests>[1]['query'];

/** All pages of the list, each of its rows as `name host`. */
async function listed(deps: ReadHandlerDependencies, query: Partial<Query> = {}) {
  const pages: string[][] = [];
  for (let cursor: string | undefined; ;) {
    const asked = { limit: 100, cursor, ...query } as Query;
    const answer = await readGuests(deps, { query: asked } as Parameters<typeof readGuests>[1]);
    pages.push(answer.guests.map(({ name, host }) => `${name} ${host}`));
    cursor = answer.next;
    if (cursor === undefined) return pages;
  }
}

const MOVES = [
  report('g1', 'a', { state: 'migrating', migration: MIGRATION, moving }),
  report('g1', 'b', { uuid: undefined, state: 'incoming', migration: MIGRATION, moving }),
  report('g2', 'b', { epoch: 5 }),
  report('g2', 'a', { epoch: 4 }),
  report('g3', 'b'),
];

describe('the list of guests', () => {
  test('the list has a moving guest once, and names the host of its copy', async (t) => {
    const deps = await heard(t, MOVES);
    assert.deepEqual(await listed(deps), [['g1 a', 'g2 b', 'g3 b']]);
    const call = { params: { guest: 'g1' } } as Parameters<typeof readGuest>[1];
    const { guests } = await readGuest(deps, call);
    assert.deepEqual(
      guests.map(({ host, copies, info }) => [host, copies, info.state]),
      [['a', [{ host: 'b', state: 'incoming' }], 'migrating']],
    );
  });

  test('the list has each guest on one page, and on the list of one host', async (t) => {
    const deps = await heard(t, MOVES);
    assert.deepEqual((await listed(deps, { limit: 1 })).flat(), ['g1 a', 'g2 b', 'g3 b']);
    assert.deepEqual((await listed(deps, { limit: 2 })).flat(), ['g1 a', 'g2 b', 'g3 b']);
    assert.deepEqual((await listed(deps, { host: 'a', limit: 1 })).flat(), ['g1 a']);
    assert.deepEqual((await listed(deps, { host: 'b' })).flat(), ['g2 b', 'g3 b']);
  });

  test('the list has a row for each host that still claims a guest, together on one page', async (t) => {
    const deps = await heard(t, MOVES, SETTLED_MS + 1000);
    const all = ['g1 a', 'g2 a', 'g2 b', 'g3 b'];
    assert.deepEqual((await listed(deps)).flat(), all);
    assert.deepEqual((await listed(deps, { limit: 1 })).flat(), all);
    assert.deepEqual((await listed(deps, { limit: 2 })).flat(), all);
  });

  test('the list has guests that share a name, over several pages', async (t) => {
    const namesakes = ['u-1', 'u-2', 'u-3'].map((uuid) => report('g1', 'a', { uuid }));
    const deps = await heard(t, [...namesakes, report('g2', 'b')]);
    assert.deepEqual(await listed(deps, { limit: 2 }), [
      ['g1 a', 'g1 a'],
      ['g1 a', 'g2 b'],
    ]);
  });

  test('the list finds guests by a part of the name, by state, and by whether they can move', async (t) => {
    const stuck = report('DB_2', 'b', { unmovable: ['device usb0 is passed through'] });
    const deps = await heard(t, [...MOVES, stuck, report('db12', 'a', { state: 'paused' })]);
    const found = async (query: Partial<Query>) => (await listed(deps, query)).flat();
    assert.deepEqual(await found({ find: 'G' }), ['g1 a', 'g2 b', 'g3 b']);
    assert.deepEqual(await found({ find: 'b_2' }), ['DB_2 b']);
    assert.deepEqual(await found({ find: '%' }), []);
    assert.deepEqual(await found({ state: 'paused' }), ['db12 a']);
    assert.deepEqual(await found({ state: 'migrating' }), ['g1 a']);
    assert.deepEqual(await found({ state: 'incoming' }), []);
    assert.deepEqual(await found({ movable: 'false' }), ['DB_2 b']);
    assert.deepEqual(await found({ movable: 'true', limit: 1 }), [
      'db12 a',
      'g1 a',
      'g2 b',
      'g3 b',
    ]);
  });

  test('the list has the present CPU use of a guest whose host is followed', async (t) => {
    const deps = await heard(t, [report('g3', 'b'), report('g4', 'a')]);
    const use = { cores: 1.5, residentBytes: 4096 };
    const newest = { guests: [{ name: 'g3', ...use }] };
    const samplesOf = (host: string) => (host === 'b' ? { newest } : undefined);
    Object.assign(deps.inventory, { samplesOf });
    await deps.store.db
      .updateTable('host_leases')
      .set({ lease_until: Date.now() + 60_000 })
      .execute();
    const call = { query: { limit: 10 } } as Parameters<typeof readGuests>[1];
    const { guests } = await readGuests(deps, call);
    assert.deepEqual(
      guests.map(({ name, load }) => [name, load]),
      [
        ['g3', use],
        ['g4', undefined],
      ],
    );
  });
});

test('the overview has each guest once, and the newest event that it includes', async (t) => {
  const deps = await heard(t, MOVES);
  const ready = await new OverviewReader(deps, systemClock).read();
  const { after, guests } = JSON.parse(ready.bytes.toString()) as {
    after: string;
    guests: unknown[][];
  };
  assert.equal(after, '0123456789ab-7');
  assert.deepEqual(
    guests.map(([name, at, , state]) => [name, at, state]),
    [
      ['g1', 0, 'migrating'],
      ['g2', 1, 'running'],
      ['g3', 1, 'running'],
    ],
  );
});
