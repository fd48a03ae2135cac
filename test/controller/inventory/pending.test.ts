import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WriteQueue } from '../../../src/controller/inventory/write-queue.ts';
import { HostLeases } from '../../../src/controller/inventory/leases.ts';
import {
  guestKey,
  markOf,
  merged,
  NOTHING,
  type NewGuest,
  type Pending,
} from '../../../src/controller/inventory/pending.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import { silentLog } from '../../../src/log.ts';
import { HOST } from './hosts.ts';

const guestOf = (name: string, state: string): NewGuest => {
  const nothing = { uuid: '', memory_bytes: null, vcpus: null };
  return { host: 'a', name, state, driver: 'd', info: '{}', ...nothing };
};

/** What a database has after it. */
function after(rows: ReadonlyMap<string, string>, { replace, upserts, gone }: Pending) {
  const now = new Map(
    replace === undefined ? rows : replace.map((each) => [guestKey(each), each.state]),
  );
  for (const key of gone.keys()) now.delete(key);
  for (const [key, { state }] of upserts) now.set(key, state);
  return now;
}

const names = fc.constantFrom('x', 'y', 'z');
const change: fc.Arbitrary<Pending> = fc.oneof(
  fc.tuple(names, fc.string()).map(([name, state]) => {
    const upserts = new Map([[guestKey({ name }), guestOf(name, state)]]);
    return { ...NOTHING, upserts };
  }),
  names.map((name) => ({ ...NOTHING, gone: new Map([[guestKey({ name }), { name, uuid: '' }]]) })),
  fc
    .uniqueArray(names)
    .map((all) => ({ ...NOTHING, replace: all.map((name) => guestOf(name, 'r')) })),
);

test('changes that are written together have the same result as one after another', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
      const before = new Map([
        ['x ', 'old'],
        ['y ', 'old'],
      ]);
      let oneByOne: ReadonlyMap<string, string> = before;
      for (const each of changes) oneByOne = after(oneByOne, each);
      const together = after(before, changes.reduce(merged, NOTHING));
      const sorted = (rows: ReadonlyMap<string, string>) =>
        [...rows].map(([key, state]) => `${key}=${state}`).toSorted();
      assert.deepEqual(sorted(together), sorted(oneByOne));
    }),
  );
});

test('a database has the pending rows, whenever they are written', async (t) => {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  const held = await new HostLeases(store, { id: 'one', name: 'one' }, silentLog).turn();
  const steps = fc.array(fc.tuple(change, fc.boolean()), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      await store.db.deleteFrom('guests').execute();
      const book = new WriteQueue(store, () => HOST);
      let model: ReadonlyMap<string, string> = new Map();
      for (const [each, isWritten] of all) {
        book.add('a', each);
        model = after(model, each);
        if (isWritten) await book.flush(held);
      }
      await book.flush(held);
      const rows = await store.db.selectFrom('guests').select(['name', 'state']).execute();
      assert.deepEqual(
        rows.map(({ name, state }) => `${name} =${state}`).toSorted(),
        [...model].map(([key, state]) => `${key}=${state}`).toSorted(),
      );
    }),
    { numRuns: 200 },
  );
});

test('different texts have different digests', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (one, other) => {
      assert.equal(markOf(one) === markOf(other), one === other);
    }),
  );
});
