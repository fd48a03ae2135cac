/** A process of a test: writes to the database of its first argument until it is killed. */
import { writeSync } from 'node:fs';
import { sql } from 'kysely';
import { openStore } from '../../../src/controller/store/open.ts';
import { silentLog } from '../../../src/log.ts';

const MAX = 100_000;
const store = await openStore({ sqlite: process.argv[2] ?? '' }, silentLog);
for (let turn = 0; turn < MAX; turn += 1) {
  const { value } = await store.transaction(async (db) => {
    const add = (name: string) =>
      db
        .updateTable('counters')
        .set({ value: sql<number>`value + 1` })
        .where('name', '=', name)
        .returning('value')
        .executeTakeFirstOrThrow();
    await add('admission');
    const body = 'x'.repeat(20_000);
    await db
      .insertInto('rollups')
      .values({ shard: turn, span: String(process.pid), at: turn, body })
      .execute();
    return add('epoch');
  });
  writeSync(1, `${value}\n`);
}
