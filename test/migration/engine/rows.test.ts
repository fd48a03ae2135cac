import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { orderOf, type Row } from '../../../src/migration/engine/rows.ts';

const rowOf = (undo: string | undefined): Row => ({
  phase: 'checking',
  does: 'something',
  endsBy: 'handler',
  undo,
});

/** Tables of steps with names of their own, some of which have an undo. */
const tables = fc
  .array(fc.boolean(), { minLength: 1, maxLength: 12 })
  .map((undone) => undone.map((hasUndo, index) => [String(index), hasUndo] as const));

describe('the order of a table', () => {
  test("a table's order leads from each step to the next, and ends after the last", () => {
    fc.assert(
      fc.property(tables, (table) => {
        const names = table.map(([name]) => name);
        const rows = Object.fromEntries(table.map(([name]) => [name, rowOf(undefined)]));
        const { index, next } = orderOf(names, rows);
        for (const name of names) assert.equal(next(name), names[index(name) + 1]);
      }),
    );
  });

  test("a table's reverse order leads over every earlier step that has an undo, the last one first", () => {
    fc.assert(
      fc.property(tables, fc.nat(), (table, at) => {
        const names = table.map(([name]) => name);
        const rows = Object.fromEntries(
          table.map(([name, hasUndo]) => [name, rowOf(hasUndo ? 'take it back' : undefined)]),
        );
        const { undoAtOrBefore, undoBefore } = orderOf(names, rows);
        const from = at % names.length;
        const way: string[] = [];
        for (
          let step = undoAtOrBefore(names[from] ?? '0');
          step !== undefined;
          step = undoBefore(step)
        ) {
          way.push(step);
        }
        const undone = table.slice(0, from + 1).filter(([, hasUndo]) => hasUndo);
        assert.deepEqual(way, undone.map(([name]) => name).toReversed());
      }),
    );
  });
});
