import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sql } from 'kysely';
import { AuditRows, shareEntries, type NewAuditRow } from '../../../src/controller/store/audit.ts';
import { openStore, type StorePlace } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { silentLog } from '../../../src/log.ts';

const ROW: NewAuditRow = {
  controller: 'c1',
  who: 'ann',
  role: 'operator',
  by: 'token',
  from: '10.0.0.7',
  what: 'setLabels',
  route: 'PUT /v1/labels',
  arguments: '{}',
  result: null,
  unkept: 0,
};

/** The audit log in a database. `make` gives an empty one to each test. */
export function auditSuite(name: string, make: () => Promise<StorePlace>): void {
  const opened = async (work: (store: Store, rows: AuditRows) => Promise<void>) => {
    const store = await openStore(await make(), silentLog);
    try {
      await work(store, new AuditRows(store));
    } finally {
      await store.close();
    }
  };

  describe(`the audit log in ${name}`, () => {
    test("an audit entry is returned with the database's time, and with its result once that is known", () =>
      opened(async (_store, rows) => {
        const id = await rows.add(ROW);
        const [begun] = await rows.list({}, 10);
        const share = { rank: 'change', caller: 'web operator ann' };
        assert.deepEqual({ ...begun, at: 0 }, { ...ROW, ...share, id, at: 0 });
        assert.ok(Math.abs((begun?.at ?? 0) - Date.now()) < 60_000);
        await rows.ended(id, 'GODWIT_TOO_MANY');
        assert.equal((await rows.list({}, 10))[0]?.result, 'GODWIT_TOO_MANY');
      }));

    test('audit entries are read by caller, object and time, page by page, the newest first', () =>
      opened(async (_store, rows) => {
        const ids: string[] = [];
        for (const who of ['ann', 'bob', 'ann', 'eve']) ids.push(await rows.add({ ...ROW, who }));
        await rows.add({ ...ROW, what: 'drain' });
        assert.equal((await rows.list({ who: 'ann' }, 10)).length, 3);
        assert.equal((await rows.list({ who: 'ann', what: 'drain' }, 10)).length, 1);
        assert.deepEqual(await rows.list({ sinceMs: Date.now() + 3_600_000 }, 10), []);
        const all = await rows.list({}, 10);
        const first = await rows.list({}, 2);
        const last = first[1]!;
        const rest = await rows.list({ after: { atMs: last.at, id: last.id } }, 10);
        assert.deepEqual([...first, ...rest], all);
        assert.equal(new Set(all.map(({ id }) => id)).size, 5);
      }));

    test('audit entries that are too old, and the oldest of too many, are removed, and nothing else', () =>
      opened(async (store, rows) => {
        for (let count = 0; count < 6; count += 1) await rows.add({ ...ROW, who: `p${count}` });
        const age = (who: string, days: number) =>
          store.db
            .updateTable('audit')
            .set({ at: sql<number>`at - ${sql.lit(days * 86_400_000)}` })
            .where('who', '=', who)
            .execute();
        await age('p5', 11);
        await age('p0', 3);
        await age('p1', 2);
        await rows.prune({ days: 10, most: 4 });
        const left = (await rows.list({}, 10)).map(({ who }) => who);
        assert.deepEqual(left.toSorted(), ['p1', 'p2', 'p3', 'p4']);
      }));

    test('entries of earlier builds get the same shares as new ones', () =>
      opened(async (store, rows) => {
        const refused = { arguments: null, result: 'GODWIT_ROLE_FORBIDDEN' };
        const entries: Partial<NewAuditRow>[] = [
          {},
          { role: 'admin', by: 'session' },
          { role: 'local', by: 'socket' },
          { role: 'agent', by: 'certificate', ...refused },
          { role: 'none', by: 'none', ...refused },
          { what: 'signIn', arguments: null, result: 'ok' },
        ];
        for (const each of entries) await rows.add({ ...ROW, ...each });
        const before = await rows.list({}, 10);
        await store.db.updateTable('audit').set({ rank: 'change', caller: '' }).execute();
        await shareEntries(store.db);
        assert.deepEqual(await rows.list({}, 10), before);
        assert.equal(new Set(before.map(({ rank, caller }) => `${rank} ${caller}`)).size, 5);
      }));

    test("an administrator's entries and a share of every caller are kept, however many one caller writes", () =>
      opened(async (_store, rows) => {
        await rows.add({ ...ROW, who: 'root', role: 'admin', what: 'createToken' });
        await rows.add({ ...ROW, who: 'a local process', role: 'local', by: 'socket' });
        for (let count = 0; count < 2; count += 1) await rows.add({ ...ROW, who: 'bob' });
        for (let count = 0; count < 40; count += 1)
          await rows.add({ ...ROW, who: 'eve', role: 'viewer', what: 'signIn' });
        const knock = { role: 'none', by: 'none', arguments: null, result: 'GODWIT_SIGN_IN' };
        for (let count = 0; count < 40; count += 1)
          await rows.add({ ...ROW, ...knock, who: `10.0.0.${count}` });
        await rows.prune({ days: 10, most: 12 });
        const left = await rows.list({}, 100);
        const of = (role: string) => left.filter((each) => each.role === role).length;
        assert.equal(left.length, 12);
        assert.deepEqual(['admin', 'local', 'operator'].map(of), [1, 1, 2]);
        assert.deepEqual(['viewer', 'none'].map(of), [4, 4]);
      }));
  });
}
