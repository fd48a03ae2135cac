import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AddressSpace } from '../../../../src/drivers/criu/pager/address-space.ts';

const PAGE = 4096;
const PAGES = 24;

const step = fc.oneof(
  fc.record({
    kind: fc.constant('drop' as const),
    from: fc.nat(PAGES),
    count: fc.integer({ min: 1, max: 8 }),
  }),
  fc.record({
    kind: fc.constant('move' as const),
    from: fc.nat(PAGES),
    to: fc.nat(PAGES),
    count: fc.integer({ min: 1, max: 8 }),
  }),
);

test("the address space after a process's changes equals a table of single pages", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const space = new AddressSpace([
        { from: 0, pages: 8, file: 1, at: 100 },
        { from: 10 * PAGE, pages: 6, file: 2, at: 0 },
      ]);
      let table = new Map<number, string>();
      for (let page = 0; page < 8; page += 1) table.set(page, `1:${100 + page}`);
      for (let page = 0; page < 6; page += 1) table.set(10 + page, `2:${page}`);
      for (const each of steps) {
        const { from, count } = each;
        if (each.kind === 'drop') {
          space.drop(from * PAGE, (from + count) * PAGE);
          for (let page = from; page < from + count; page += 1) table.delete(page);
          continue;
        }
        space.move(from * PAGE, each.to * PAGE, count * PAGE);
        const next = new Map(table);
        for (let page = 0; page < count; page += 1) next.delete(from + page);
        for (let page = 0; page < count; page += 1) {
          const moved = table.get(from + page);
          if (moved === undefined) next.delete(each.to + page);
          else next.set(each.to + page, moved);
        }
        table = next;
      }
      for (let page = 0; page < 3 * PAGES; page += 1) {
        const found = space.find(page * PAGE);
        assert.equal(found && `${found.file}:${found.page}`, table.get(page), `page ${page}`);
      }
    }),
  );
});

test('a copy does not change with its original', () => {
  const space = new AddressSpace([{ from: 0, pages: 2, file: 1, at: 0 }]);
  const copy = space.copy();
  space.drop(0, PAGE);
  assert.deepEqual(copy.find(0), { file: 1, page: 0 });
});
