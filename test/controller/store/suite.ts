import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sql } from 'kysely';
import { openStore, type StorePlace } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { bringForward, SCHEMA_VERSION, versionOf } from '../../../src/controller/store/schema.ts';
import { hasCode } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import { until } from '../../until.ts';

/** The version that brought the history of migrations. */
const WITH_MIGRATIONS = 4;
const MIGRATION = {
  id: 'm-00000001',
  guest: 'web1',
  source: 'a',
  destination: 'b',
  mode: 'precopy',
  told_by: 'a',
  side: 'source',
  started_at: 1,
  ended_at: 2,
  report: 'packed',
  epoch: 1,
};

const REQUEST = {
  kind: 'drain',
  state: 'asked',
  body: '{}',
  created_by: 'a test',
  created_at: 1,
  due_at: 1,
};

/** What holds of a store, whatever keeps it. `make` gives an empty database of its own to each test. */
export function storeSuite(name: string, make: () => Promise<StorePlace>): void {
  const opened = async (work: (store: Store, place: StorePlace) => Promise<void>) => {
    const place = await make();
    const store = await openStore(place, silentLog);
    try {
      await work(store, place);
    } finally {
      await store.close();
    }
  };

  describe(`a store in ${name}`, () => {
    test('a store creates its tables in an empty database, and none when it is opened again', () =>
      opened(async (store, place) => {
        assert.equal(await versionOf(store.db, store.kind, 'here'), SCHEMA_VERSION);
        await store.db.updateTable('counters').set({ value: 7 }).execute();
        const again = await openStore(place, silentLog);
        const { value } = await again.db
          .selectFrom('counters')
          .select('value')
          .where('name', '=', 'epoch')
          .executeTakeFirstOrThrow();
        await again.close();
        assert.equal(value, 7);
      }));

    test('a store is created once by several processes that open it at once', async () => {
      const place = await make();
      const stores = await Promise.all([1, 2, 3, 4].map(() => openStore(place, silentLog)));
      const counters = await stores[3]!.db.selectFrom('counters').select('name').execute();
      await Promise.all(stores.map((each) => each.close()));
      assert.equal(counters.length, 2);
    });

    test('a failed transaction leaves nothing', () =>
      opened(async (store) => {
        const failing = store.transaction(async (db) => {
          await db.insertInto('limits').values({ scope: 'fleet', name: '', most: 4 }).execute();
          throw new Error('half done');
        });
        await assert.rejects(failing, /half done/);
        assert.deepEqual(await store.db.selectFrom('limits').selectAll().execute(), []);
      }));

    test('fifty concurrent callers over two connections get fifty different numbers', () =>
      opened(async (store, place) => {
        const other = await openStore(place, silentLog);
        const take = (of: Store) =>
          of.transaction(async (db) => {
            const set = { value: sql<number>`value + 1` };
            return db
              .updateTable('counters')
              .set(set)
              .where('name', '=', 'epoch')
              .returning('value')
              .executeTakeFirstOrThrow();
          });
        const taken = await Promise.all(
          Array.from({ length: 50 }, (_none, at) => take(at % 2 === 0 ? store : other)),
        );
        await other.close();
        assert.equal(new Set(taken.map(({ value }) => value)).size, 50);
      }));

    test('a reader sees written rows even while all of its connections are in use', () =>
      opened(async (store) => {
        const row = { scope: 'fleet', name: '', most: 4 };
        await store.db.insertInto('limits').values(row).execute();
        const asked = Promise.withResolvers<void>();
        const taken = Array.from({ length: 8 }, () => store.transaction(() => asked.promise));
        const read = await store.reads.selectFrom('limits').selectAll().execute();
        asked.resolve();
        await Promise.all(taken);
        assert.deepEqual(
          read.map((each) => ({ ...each })),
          [row],
        );
      }));

    test('times, counts and missing values are read as numbers and null', () =>
      opened(async (store) => {
        const row = {
          ...REQUEST,
          id: 'w',
          subject: 'a',
          due_at: 1_900_000_000_123,
          ended_at: null,
        };
        await store.db.insertInto('requests').values(row).execute();
        const read = await store.db
          .selectFrom('requests')
          .select(({ fn }) => ['due_at', 'ended_at', 'version', fn.countAll<number>().as('count')])
          .groupBy(['due_at', 'ended_at', 'version'])
          .executeTakeFirstOrThrow();
        const plain = { ...read };
        assert.deepEqual(plain, {
          due_at: 1_900_000_000_123,
          ended_at: null,
          version: 0,
          count: 1,
        });
      }));

    test('a NUL in a text from a host or a caller is replaced by U+FFFD', () =>
      opened(async (store) => {
        const row = { ...REQUEST, id: 'w', subject: 'a', due_at: 1, created_by: 'an\0n' };
        await store.db.insertInto('requests').values(row).execute();
        const asked = (by: string) =>
          store.db
            .selectFrom('requests')
            .select('created_by')
            .where('created_by', '=', by)
            .execute();
        assert.deepEqual(
          (await asked('an\0n')).map((each) => each.created_by),
          ['an\uFFFDn'],
        );
        assert.deepEqual(await asked('\0'), []);
      }));

    test('a write returns the number of changed rows, so that a stale write is detected', () =>
      opened(async (store) => {
        const claim = { request_id: 'w', owner: 'one', epoch: 5, lease_until: 10 };
        await store.db.insertInto('claims').values(claim).execute();
        const write = (epoch: number) =>
          store.db
            .updateTable('claims')
            .set({ lease_until: 20 })
            .where('request_id', '=', 'w')
            .where('epoch', '=', epoch)
            .executeTakeFirst();
        assert.equal((await write(4)).numUpdatedRows, 0n);
        assert.equal((await write(5)).numUpdatedRows, 1n);
      }));

    test("the clock of a store advances, close to this process's clock", () =>
      opened(async (store) => {
        const look = async () => {
          const { rows } = await sql<{ now: number }>`select ${store.nowMs} as now`.execute(
            store.db,
          );
          return rows[0]!.now;
        };
        const first = await look();
        const second = await until('a later time', 5000, async () => {
          const now = await look();
          return now > first ? now : undefined;
        });
        assert.ok(Math.abs(second - Date.now()) < 5000, `${second} by the database`);
      }));

    test('a host has one open drain, and another once that has ended', () =>
      opened(async (store) => {
        const drain = (id: string) =>
          store.db
            .insertInto('requests')
            .values({ ...REQUEST, id, subject: 'a' })
            .execute();
        await drain('w1');
        await assert.rejects(drain('w2'), (thrown) => hasCode(thrown, 'GODWIT_STORE'));
        await store.db.updateTable('requests').set({ ended_at: 9 }).execute();
        await drain('w2');
      }));

    test('each earlier version is upgraded with its data', async () => {
      for (let from = 1; from <= SCHEMA_VERSION; from += 1) {
        const place = await make();
        // What this build makes, brought back: as a build of that version would have left it.
        const earlier = await openStore(place, silentLog);
        await dropAll(earlier);
        await bringForward(earlier.db, earlier.kind, 'here', from);
        await earlier.db.updateTable('counters').set({ value: 41 }).execute();
        const moved = from < WITH_MIGRATIONS ? [] : [MIGRATION];
        for (const row of moved) await earlier.db.insertInto('migrations').values(row).execute();
        await earlier.close();
        const now = await openStore(place, silentLog);
        const version = await versionOf(now.db, now.kind, 'here');
        const counters = await now.db.selectFrom('counters').select('value').execute();
        const columns = ['id', 'source', 'told_by', 'ended_at', 'report'] as const;
        const kept = await now.db.selectFrom('migrations').select(columns).execute();
        // Another host's row of that id has a place beside it.
        const other = { ...MIGRATION, source: 'c', told_by: 'c' };
        for (const row of [other, MIGRATION])
          await now.db
            .insertInto('migrations')
            .values(row)
            .onConflict((conflict) => conflict.columns(['id', 'source', 'told_by']).doNothing())
            .execute();
        const count = (await now.db.selectFrom('migrations').select('id').execute()).length;
        await now.close();
        const { id, source, told_by, ended_at, report } = MIGRATION;
        const plain = kept.map((row) => ({ ...row }));
        assert.deepEqual(
          plain,
          moved.length === 0 ? [] : [{ id, source, told_by, ended_at, report }],
        );
        assert.equal(count, 2);
        assert.equal(version, SCHEMA_VERSION);
        assert.ok(counters.every(({ value }) => value === 41));
      }
    });

    test('a store is not upgraded while an older build uses it, and nothing in it is changed', async () => {
      const place = await make();
      const earlier = await openStore(place, silentLog);
      await dropAll(earlier);
      await bringForward(earlier.db, earlier.kind, 'here', SCHEMA_VERSION - 1);
      const alive = async (...all: number[]) => {
        await earlier.db.deleteFrom('controllers').execute();
        for (const [at, more] of all.entries()) {
          const alive_until = sql<number>`${earlier.nowMs} + ${sql.lit(more)}`;
          const row = { id: String(at), name: `control-${at}`, alive_until };
          await earlier.db.insertInto('controllers').values(row).execute();
        }
      };
      await alive(-1, 8000);
      await assert.rejects(openStore(place, silentLog), (thrown) => {
        assert.ok(hasCode(thrown, 'GODWIT_STORE_IN_USE'));
        return /control-1 of an older build/.test(thrown.message);
      });
      assert.equal(await versionOf(earlier.db, earlier.kind, 'here'), SCHEMA_VERSION - 1);
      // One that ended without a word, and one that did so before the clock was set back.
      await alive(-1, 3_600_000);
      await (await openStore(place, silentLog)).close();
      assert.equal(await versionOf(earlier.db, earlier.kind, 'here'), SCHEMA_VERSION);
      await earlier.close();
    });

    test('a stalled controller does not write to a store that a newer build has upgraded', () =>
      opened(async (store) => {
        await store.transaction((db) => db.updateTable('counters').set({ value: 1 }).execute());
        await store.db
          .updateTable('godwit_schema')
          .set({ version: SCHEMA_VERSION + 1 })
          .execute();
        const written = store.transaction((db) =>
          db.updateTable('counters').set({ value: 2 }).execute(),
        );
        await assert.rejects(written, (thrown) => hasCode(thrown, 'GODWIT_STORE_NEWER'));
        assert.ok(hasCode(await store.outdated, 'GODWIT_STORE_NEWER'));
        const counters = await store.db.selectFrom('counters').select('value').execute();
        assert.ok(counters.every(({ value }) => value === 1));
      }));

    test('a newer schema is refused, and nothing in it is changed', () =>
      opened(async (store, place) => {
        await store.db
          .updateTable('godwit_schema')
          .set({ version: SCHEMA_VERSION + 1 })
          .execute();
        const refused = openStore(place, silentLog);
        await assert.rejects(refused, (thrown) => hasCode(thrown, 'GODWIT_STORE_NEWER'));
        const { version } = await store.db
          .selectFrom('godwit_schema')
          .select('version')
          .executeTakeFirstOrThrow();
        assert.equal(version, SCHEMA_VERSION + 1);
      }));

    test('a database of another product is refused, and no table is created in it', () =>
      opened(async (store, place) => {
        await dropAll(store);
        await store.db.schema.createTable('invoices').addColumn('id', 'integer').execute();
        const refused = openStore(place, silentLog);
        await assert.rejects(refused, (thrown) => {
          assert.ok(hasCode(thrown, 'GODWIT_STORE_FOREIGN'));
          return /invoices/.test(thrown.message);
        });
        const tables = await store.db.introspection.getTables();
        assert.deepEqual(
          tables.map((each) => each.name),
          ['invoices'],
        );
      }));
  });
}

export async function dropAll(store: Store): Promise<void> {
  const tables = await store.db.introspection.getTables();
  for (const each of tables) await store.db.schema.dropTable(each.name).execute();
}
