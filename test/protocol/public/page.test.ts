import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../../src/errors.ts';
import {
  cursor,
  cursorAt,
  everyPage,
  pageOf,
  timeKeyIn,
} from '../../../src/protocol/public/page.ts';

const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 4 }), { maxLength: 30 });
const order = fc.constantFrom('first to last' as const, 'last to first' as const);
const keyOf = (name: string): [string] => [name];

describe('the pages of a list', () => {
  test('the pages of a list contain permanent entries exactly once, whatever else changes', async () => {
    await fc.assert(
      fc.asyncProperty(
        names,
        fc.array(names, { maxLength: 12 }),
        fc.integer({ min: 1, max: 7 }),
        order,
        async (lasting, others, limit, way) => {
          let asked = 0;
          const got = await everyPage((after) => {
            const passing = others[asked++ % Math.max(1, others.length)] ?? [];
            const now = [...new Set([...passing, ...lasting])];
            const page = pageOf(now, keyOf, { limit, cursor: after }, way);
            assert.ok(page.items.length <= limit);
            if (page.next !== undefined) assert.ok(cursor.safeParse(page.next).success);
            return Promise.resolve(page);
          });
          assert.equal(new Set(got).size, got.length, 'nothing comes twice');
          const kept = got.filter((name) => lasting.includes(name));
          assert.deepEqual(kept.toSorted(), lasting.toSorted());
        },
      ),
    );
  });

  test('the pages of a list are in the order of their keys', () => {
    const all = [
      ['b', '1'],
      ['a', '2'],
      ['a', '1'],
    ] as [string, string][];
    const { items, next } = pageOf(all, (key) => key, { limit: 2 }, 'last to first');
    assert.deepEqual(items, [all[0], all[1]]);
    const rest = pageOf(all, (key) => key, { limit: 2, cursor: next }, 'last to first');
    assert.deepEqual(rest, { items: [all[2]] });
  });

  test('the pages of a list accept only a cursor that a page ended with', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (text) => {
        try {
          pageOf(['a'], keyOf, { limit: 1, cursor: text });
        } catch (error) {
          assert.ok(hasCode(error, 'GODWIT_PROTOCOL_INVALID'), String(error));
        }
      }),
    );
    assert.throws(() => pageOf(['a'], keyOf, { limit: 1, cursor: 'e30' }), {
      code: 'GODWIT_PROTOCOL_INVALID',
    });
  });

  test('the pages of a list end for a client, whatever the server answers', async () => {
    const endless = everyPage(() => Promise.resolve({ items: [1], next: 'again' }));
    await assert.rejects(endless, { code: 'GODWIT_TOO_LARGE' });
    let asked = 0;
    const many = everyPage(() => {
      asked += 1;
      return Promise.resolve({ items: [1, 2, 3], next: 'again' });
    }, 10);
    await assert.rejects(many, {
      code: 'GODWIT_PROTOCOL_INVALID',
      message: 'who was asked sent something that is not a list of 10 at most: more',
    });
    assert.equal(asked, 4);
  });

  test("a page larger than a call's argument limit is accepted, as older builds answer it", async () => {
    const items = Array.from({ length: 90_000 }, (_, index) => index);
    assert.equal((await everyPage(() => Promise.resolve({ items }))).length, 90_000);
  });
});

test('the cursor of a list by time has a whole number of ms, and no other is accepted', () => {
  assert.deepEqual(timeKeyIn(cursorAt(['1700000000123', 'm-1'])), {
    atMs: 1_700_000_000_123,
    id: 'm-1',
  });
  // A database that keeps moments as whole numbers fails on these.
  for (const at of ['', 'x', '1.5', '-1', '1e400', '0x10', 'Infinity', '9'.repeat(20)])
    assert.throws(() => timeKeyIn(cursorAt([at, 'm-1'])), { code: 'GODWIT_PROTOCOL_INVALID' }, at);
});
