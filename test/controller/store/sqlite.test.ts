import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { openStore } from '../../../src/controller/store/open.ts';
import { hasCode } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import { killWriters } from './kills.ts';
import { askedSuite } from './new-requests-suite.ts';
import { requestNamesSuite } from './request-names-suite.ts';
import { auditSuite } from './audit-suite.ts';
import { promisesSuite } from './promises-suite.ts';
import { sessionsSuite } from './sessions-suite.ts';
import { storeSuite } from './suite.ts';
import { requestsSuite } from './requests-suite.ts';

let directory: string;
let count = 0;
const file = (): string => path.join(directory, `store-${(count += 1)}.db`);

before(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'godwit-store-'));
});
after(() => rmSync(directory, { recursive: true }));

storeSuite('SQLite', () => Promise.resolve({ sqlite: file() }));
requestsSuite('SQLite', () => Promise.resolve({ sqlite: file() }));
promisesSuite('SQLite', () => Promise.resolve({ sqlite: file() }));
askedSuite('SQLite', () => Promise.resolve({ sqlite: file() }));
requestNamesSuite('SQLite', () => Promise.resolve({ sqlite: file() }));
auditSuite('SQLite', () => Promise.resolve({ sqlite: file() }));
sessionsSuite('SQLite', () => Promise.resolve({ sqlite: file() }));

describe('a store in a file', () => {
  test('a store loses nothing accepted and keeps no half transaction when its process is killed in mid-write', async () => {
    const seen = await killWriters(file(), 8);
    assert.ok(seen.written > 8, `only ${seen.written} transactions were written before the kills`);
  });

  test('a store may be read only by its owner', async () => {
    const at = file();
    const store = await openStore({ sqlite: at }, silentLog);
    await store.db.selectFrom('hosts').selectAll().execute();
    const modes = [at, `${at}-wal`].map((each) => statSync(each).mode & 0o777);
    await store.close();
    assert.deepEqual(modes, [0o600, 0o600]);
  });

  test("a file that is not a database, or another program's, is refused and stays byte for byte as it was", async () => {
    const text = file();
    writeFileSync(text, 'invoices of 2025, which are no database\n'.repeat(200));
    const other = file();
    const database = new DatabaseSync(other);
    database.exec('create table invoices (id integer)');
    database.close();
    for (const [at, code] of [
      [text, 'GODWIT_STORE'],
      [other, 'GODWIT_STORE_FOREIGN'],
    ] as const) {
      const bytes = readFileSync(at);
      await assert.rejects(openStore({ sqlite: at }, silentLog), (thrown) => hasCode(thrown, code));
      assert.deepEqual(readFileSync(at), bytes);
    }
  });

  test('a store waits for another writing process, and reports it if that takes too long', async () => {
    const at = file();
    const store = await openStore({ sqlite: at }, silentLog);
    await store.db.selectFrom('hosts').selectAll().execute();
    const other = new DatabaseSync(at);
    other.exec('begin immediate');
    const write = store.db.insertInto('limits').values({ scope: 'fleet', name: '', most: 1 });
    await assert.rejects(write.execute(), (thrown) => {
      return hasCode(thrown, 'GODWIT_STORE') && /locked|busy/.test(thrown.message);
    });
    other.exec('rollback');
    other.close();
    await write.execute();
    await store.close();
  });
});
