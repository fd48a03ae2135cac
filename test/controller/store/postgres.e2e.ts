import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test, type TestContext } from 'node:test';
import { sql } from 'kysely';
import { accepted } from '../../../src/controller/policy/proposals.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { Policies } from '../../../src/controller/store/policies.ts';
import { writeProposal } from '../../../src/controller/store/proposal-rows.ts';
import { Proposals } from '../../../src/controller/store/proposals.ts';
import { hasCode } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import { policySettings } from '../../../src/protocol/controller/policy.ts';
import { startPostgres, type Postgres } from '../../../tools/postgres.ts';
import { untilSo } from '../../until.ts';
import { proposalOf } from '../policy/samples.ts';
import { anotherHandSuite } from '../policy/another-hand-suite.ts';
import { policySuite } from '../policy/suite.ts';
import { askedSuite } from './new-requests-suite.ts';
import { requestNamesSuite } from './request-names-suite.ts';
import { auditSuite } from './audit-suite.ts';
import { promisesSuite } from './promises-suite.ts';
import { sessionsSuite } from './sessions-suite.ts';
import { storeSuite } from './suite.ts';
import { requestsSuite } from './requests-suite.ts';

let postgres: Postgres;

before(async () => {
  postgres = await startPostgres();
});
after(() => postgres.stop());

storeSuite('PostgreSQL', async () => ({ postgres: await postgres.database() }));
requestsSuite('PostgreSQL', async () => ({ postgres: await postgres.database() }));
promisesSuite('PostgreSQL', async () => ({ postgres: await postgres.database() }));
askedSuite('PostgreSQL', async () => ({ postgres: await postgres.database() }));
requestNamesSuite('PostgreSQL', async () => ({ postgres: await postgres.database() }));
auditSuite('PostgreSQL', async () => ({ postgres: await postgres.database() }));
sessionsSuite('PostgreSQL', async () => ({ postgres: await postgres.database() }));
anotherHandSuite('PostgreSQL', async () => ({ postgres: await postgres.database() }));
policySuite('PostgreSQL', async () => ({ postgres: await postgres.database() }));

describe('a store in PostgreSQL', () => {
  test('a store is refused without its password, and the message does not contain the password', async () => {
    const { url, passwordFile } = await postgres.database();
    const wrong = `${passwordFile}.wrong`;
    writeFileSync(wrong, 'not-the-password\n', { mode: 0o600 });
    const refused = openStore({ postgres: { url, passwordFile: wrong } }, silentLog);
    await assert.rejects(refused, (thrown) => {
      assert.ok(hasCode(thrown, 'GODWIT_STORE'));
      return (
        /password authentication failed/.test(thrown.message) && !/not-the/.test(thrown.message)
      );
    });
  });

  test('a connection that breaks between two queries fails the transaction, and not the process', async () => {
    const store = await openStore({ postgres: await postgres.database() }, silentLog);
    const broken = store.transaction(async (db) => {
      const { pid } = await db
        .selectNoFrom(sql<number>`pg_backend_pid()`.as('pid'))
        .executeTakeFirstOrThrow();
      await sql`select pg_terminate_backend(${pid})`.execute(store.db);
      await untilSo(async () => {
        const { rows } = await sql<{ count: number }>`
          select count(*) as count from pg_stat_activity where pid = ${pid}`.execute(store.db);
        return rows[0]?.count === 0;
      });
      await db.selectFrom('limits').selectAll().execute();
    });
    await assert.rejects(broken, { code: 'GODWIT_STORE' });
    assert.deepEqual(await store.db.selectFrom('limits').selectAll().execute(), []);
    await store.close();
  });

  test('a store continues by itself after the database was stopped and started again', async () => {
    const store = await openStore({ postgres: await postgres.database() }, silentLog);
    const limit = { scope: 'fleet', name: '', most: 3 };
    await store.db.insertInto('limits').values(limit).execute();
    await postgres.restart();
    const read = () => store.db.selectFrom('limits').selectAll().execute();
    // The pool learns of each broken connection by using it.
    let rows = await read().catch((thrown: unknown) => {
      assert.ok(hasCode(thrown, 'GODWIT_STORE'));
    });
    rows ??= await read();
    await store.close();
    assert.deepEqual(rows, [limit]);
  });
});

/** A store whose next transaction has written, and is committed once `go` is called. */
function heldBack(store: Store) {
  const written = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const held: Store = {
    ...store,
    transaction: (work) =>
      store.transaction(async (db) => {
        const result = await work(db);
        written.resolve();
        await gate.promise;
        return result;
      }),
  };
  return { held, written: written.promise, go: () => gate.resolve() };
}

/** Resolves once a query waits for another transaction, or `work` is over. */
async function untilBlocked(store: Store, work: Promise<unknown>): Promise<void> {
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  void work.then(over, over);
  await untilSo(async () => {
    const { rows } = await sql`select 1 from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(store.db);
    return isOver || rows.length > 0;
  });
}

describe('decisions during a look in PostgreSQL', () => {
  const opened = async (t: TestContext): Promise<Store> => {
    const store = await openStore({ postgres: await postgres.database() }, silentLog);
    t.after(() => store.close());
    return store;
  };
  const open = proposalOf({ expiresAtMs: 4_000_000_000_000 });

  test('a look does not overwrite a rejection, and requests no move of it', async (t) => {
    const store = await opened(t);
    await store.transaction((db) => writeProposal(db, open, false));
    const policies = new Policies(store);
    const claim = await policies.seize('balance', 'fleet', 'one', 60_000);
    const { held, written, go } = heldBack(store);
    const rejecting = new Proposals(held).reject(open.id, 'never', 'bob');
    await written;
    const look = { atMs: Date.now(), words: '1 proposal is accepted', refusals: [] };
    const taken = accepted(open, { nowMs: Date.now(), by: 'the policy' });
    const change = { look, proposals: [taken], cancel: [], wake: [] };
    const committing = policies.commit(claim, change, 1000);
    await untilBlocked(store, committing);
    go();
    await Promise.all([rejecting, committing]);
    assert.equal((await new Proposals(store).get(open.id)).state, 'rejected');
    const requests = await store.db.selectFrom('requests').select('id').execute();
    assert.deepEqual(requests, []);
  });

  test('a caller that accepts all of a look does not accept a proposal that was rejected meanwhile', async (t) => {
    const store = await opened(t);
    const other = { ...open, id: 'p-00000002' };
    for (const each of [open, other])
      await store.transaction((db) => writeProposal(db, each, false));
    await new Policies(store).put(
      'balance',
      'fleet',
      policySettings.parse({ mode: 'approve' }),
      'test',
    );
    const { held, written, go } = heldBack(store);
    const rejecting = new Proposals(held).reject(other.id, 'never', 'bob');
    await written;
    const accepting = new Proposals(store).accept(open.id, 'alice');
    await untilBlocked(store, accepting);
    go();
    const [, done] = await Promise.all([rejecting, accepting]);
    assert.deepEqual(done.accepted, [open.id]);
    assert.equal((await new Proposals(store).get(other.id)).state, 'rejected');
  });

  test('one of two groups with the same host that are set at once is refused', async (t) => {
    const store = await opened(t);
    const settings = policySettings.parse({ mode: 'propose', hosts: ['a'] });
    const { held, written, go } = heldBack(store);
    const first = new Policies(held).put('balance', 'front', settings, 'test');
    await written;
    const second = new Policies(store).put('balance', 'back', settings, 'test');
    await untilBlocked(store, second);
    go();
    await first;
    await assert.rejects(second, (thrown) => hasCode(thrown, 'GODWIT_POLICY_OVERLAP'));
  });
});
