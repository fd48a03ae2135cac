import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sql } from 'kysely';
import { openStore, type StorePlace } from '../../../src/controller/store/open.ts';
import { readRequest } from '../../../src/controller/store/request-rows.ts';
import { bringForward } from '../../../src/controller/store/schema.ts';
import { silentLog } from '../../../src/log.ts';
import { newRequest, requestAsk } from '../../../src/protocol/controller/fleet-request.ts';
import { dropAll } from './suite.ts';

/** The last version that called a request a wish. */
const WITHOUT_REQUESTS = 17;

/** Rows that an earlier build wrote are read under their new names. `make` gives an empty database. */
export function requestNamesSuite(name: string, make: () => Promise<StorePlace>): void {
  describe(`a store of an earlier build in ${name}`, () => {
    test('a store that called a request a wish is upgraded with its requests, moves and proposals', async () => {
      const place = await make();
      const earlier = await openStore(place, silentLog);
      await dropAll(earlier);
      await bringForward(earlier.db, earlier.kind, 'here', WITHOUT_REQUESTS);
      const ask = requestAsk.parse({ kind: 'drain', hosts: ['a'] });
      const words = 'says "wish":"w-1", as text';
      const made = newRequest('w-00000001', ask, { nowMs: 5, by: 'ann' });
      const queue = [{ guest: 'web1', from: 'a', waitsFor: 'wish-limit', words }];
      const { db } = earlier;
      await sql`insert into wishes (id, kind, subject, state, body, created_at, created_by, due_at)
        values ('w-00000001', 'drain', 'a', 'working', ${JSON.stringify({ ...made, queue })}, 5, 'ann', 5)`.execute(
        db,
      );
      await sql`insert into claims values ('w-00000001', 'one', 3, 0)`.execute(db);
      const body = JSON.stringify({ wish: 'w-00000001', words });
      await sql`insert into moves (id, wish_id, guest, source, destination, attempt, state, asked_epoch, body, created_at)
        values ('m-00000001', 'w-00000001', 'web1', 'a', 'b', 1, 'chosen', 3, ${body}, 5)`.execute(
        db,
      );
      const proposal = JSON.stringify({ wishes: ['w-00000001'], words });
      await sql`insert into proposals (id, kind, scope, run, state, subject, body, created_at, settled)
        values ('p-00000001', 'balance', '', 'r', 'open', 's', ${proposal}, 5, 0)`.execute(db);
      await earlier.close();
      const now = await openStore(place, silentLog);
      const row = await now.db.selectFrom('requests').select('body').executeTakeFirst();
      assert.deepEqual(readRequest(row?.body ?? ''), {
        ...made,
        queue: [{ ...queue[0], waitsFor: 'request-limit' }],
      });
      const one = { request_id: 'w-00000001' };
      const claims = await now.db.selectFrom('claims').select('request_id').execute();
      assert.deepEqual(
        claims.map((row) => ({ ...row })),
        [one],
      );
      const moves = await now.db.selectFrom('moves').select(['request_id', 'body']).execute();
      const renamed = JSON.stringify({ request: 'w-00000001', words });
      assert.deepEqual(
        moves.map((row) => ({ ...row })),
        [{ ...one, body: renamed }],
      );
      const [kept] = await now.db.selectFrom('proposals').select('body').execute();
      assert.deepEqual(JSON.parse(kept?.body ?? ''), { requests: ['w-00000001'], words });
      await now.close();
    });
  });
}
