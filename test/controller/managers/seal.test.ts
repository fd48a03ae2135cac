import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ManagerStore } from '../../../src/controller/managers/manager-store.ts';
import { KeyRing } from '../../../src/controller/managers/seal.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import { hasCode } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const isKey = (thrown: unknown): boolean => hasCode(thrown, 'GODWIT_MANAGER_KEY');

describe('a sealed password', () => {
  test('a sealed password is opened only by its key and for its owner', (t) => {
    const ring = new KeyRing(path.join(tempDir(t), 'keys.json'));
    const other = new KeyRing(path.join(tempDir(t), 'keys.json'));
    other.seal('', '');
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (secret, about, elsewhere) => {
        const sealed = ring.seal(secret, about);
        assert.equal(ring.open(sealed, about), secret);
        if (elsewhere !== about) assert.throws(() => ring.open(sealed, elsewhere), isKey);
        assert.throws(() => other.open(sealed, about), isKey);
      }),
      { numRuns: 50 },
    );
  });

  test('a sealed password is refused if one of its bytes differs', (t) => {
    const ring = new KeyRing(path.join(tempDir(t), 'keys.json'));
    const { key, box } = ring.seal('secret', 'vc1');
    const bytes = Buffer.from(box, 'base64');
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      assert.throws(() => ring.open({ key, box: changed.toString('base64') }, 'vc1'), isKey);
    }
    assert.throws(() => ring.open({ key, box: '' }, 'vc1'), isKey);
  });

  test('a sealed password is never stored in plain text, and only its owner may read its key', (t) => {
    const file = path.join(tempDir(t), 'keys.json');
    const sealed = new KeyRing(file).seal('a-password', 'vc1');
    assert.doesNotMatch(Buffer.from(sealed.box, 'base64').toString('latin1'), /a-password/);
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  test('a damaged key file is refused and left as it is', (t) => {
    const file = path.join(tempDir(t), 'keys.json');
    const ring = new KeyRing(file);
    const sealed = ring.seal('secret', 'vc1');
    writeFileSync(file, '{"current":"x"');
    assert.throws(() => ring.open(sealed, 'vc1'), isKey);
    assert.throws(() => ring.seal('other', 'vc1'), isKey);
    assert.equal(readFileSync(file, 'utf8'), '{"current":"x"');
  });
});

describe('the managers of a database', () => {
  const place = { driver: 'vsphere', url: 'https://vc', user: 'u', options: {} };

  async function withBook(
    t: Parameters<typeof tempDir>[0],
    work: (
      book: ManagerStore,
      store: Awaited<ReturnType<typeof openStore>>,
      keys: string,
    ) => Promise<void>,
  ): Promise<void> {
    const dir = tempDir(t);
    const keys = path.join(dir, 'keys.json');
    const store = await openStore({ sqlite: path.join(dir, 'c.db') }, silentLog);
    try {
      await work(new ManagerStore(store, new KeyRing(keys)), store, keys);
    } finally {
      await store.close();
    }
  }

  test('the managers keep each password for its address: an address changed in the database gets none', (t) =>
    withBook(t, async (book, store) => {
      await book.add('vc1', place, 'secret', 'ann');
      assert.equal(await book.password('vc1'), 'secret');
      const body = JSON.stringify({ ...place, url: 'https://thief' });
      await store.db.updateTable('managers').set({ body }).execute();
      await assert.rejects(book.password('vc1'), isKey);
    }));

  test('the managers have unique names and are gone once they are removed', (t) =>
    withBook(t, async (book, store) => {
      await book.add('vc1', place, 'secret', 'ann');
      const again = book.add('vc1', place, 'secret', 'ann');
      await assert.rejects(again, (thrown) => hasCode(thrown, 'GODWIT_MANAGER_TAKEN'));
      await book.remove('vc1');
      assert.deepEqual(await store.db.selectFrom('managers').selectAll().execute(), []);
      await assert.rejects(book.remove('vc1'), (thrown) =>
        hasCode(thrown, 'GODWIT_MANAGER_UNKNOWN'),
      );
    }));

  test('the managers come under a new key all at once, and the old key is gone', (t) =>
    withBook(t, async (book, store, keys) => {
      await book.add('vc1', place, 'one', 'ann');
      await book.add('vc2', place, 'two', 'ann');
      const before = readFileSync(keys, 'utf8');
      assert.equal(await book.rotate(), 2);
      assert.deepEqual([await book.password('vc1'), await book.password('vc2')], ['one', 'two']);
      const [old = ''] = Object.keys((JSON.parse(before) as { keys: object }).keys);
      assert.doesNotMatch(readFileSync(keys, 'utf8'), new RegExp(old));
      const rows = await store.db.selectFrom('managers').select('secret_key').execute();
      assert.ok(rows.every(({ secret_key: key }) => key !== old));
    }));

  test('the managers keep every password if a change of the key fails half-way, and the next change completes it', (t) =>
    withBook(t, async (book, store) => {
      await book.add('vc1', place, 'one', 'ann');
      await book.add('vc2', place, 'two', 'ann');
      const { secret } = await store.db
        .selectFrom('managers')
        .select('secret')
        .where('name', '=', 'vc2')
        .executeTakeFirstOrThrow();
      const setSecret = (value: string) =>
        store.db.updateTable('managers').set({ secret: value }).where('name', '=', 'vc2').execute();
      await setSecret('damaged');
      await assert.rejects(book.rotate(), isKey);
      assert.equal(await book.password('vc1'), 'one');
      await setSecret(secret);
      assert.equal(await book.password('vc2'), 'two');
      assert.equal(await book.rotate(), 2);
      assert.equal(await book.password('vc2'), 'two');
    }));
});
