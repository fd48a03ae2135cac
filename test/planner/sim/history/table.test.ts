import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readTable, TableError, type Row } from '../../../../src/planner/sim/history/table.ts';

const columns = [
  { name: 'name', kind: 'text' },
  { name: 'cores', kind: 'number' },
  { name: 'watts', kind: 'number', optional: true },
] as const;

function rows(text: string): Row[] {
  const found: Row[] = [];
  readTable(text, 'hosts.csv', columns, (row) => found.push(row));
  return found;
}

test('columns are found by their header, in any order, and others are ignored', () => {
  assert.deepEqual(rows('rack,cores,name\r\n7,8,a\n\n7,1.5,b'), [
    { name: 'a', cores: 8 },
    { name: 'b', cores: 1.5 },
  ]);
});

test('an error in a table is reported with file, line, column and the expected value', () => {
  const wrong = (text: string, message: RegExp): void => {
    assert.throws(
      () => rows(text),
      (error) => error instanceof TableError && message.test(error.message),
    );
  };
  wrong('', /^hosts\.csv: is empty$/);
  wrong(
    'name,cpus\na,8\n',
    /^hosts\.csv:1: has no column cores; expected name, cores, \[watts\], got name, cpus$/,
  );
  wrong(
    'name,cores\na,8\nb,many\n',
    /^hosts\.csv:3: column 2 \(cores\): expected a number, 0 or more, got 'many'$/,
  );
  wrong('name,cores\n,8\n', /^hosts\.csv:2: column 1 \(name\): expected a name, got ''$/);
  wrong('name,cores\na,-1\n', /expected a number, 0 or more, got '-1'$/);
});

test('any text gives rows or a TableError, and nothing else', () => {
  const cell = fc.oneof(fc.string(), fc.constantFrom('name', 'cores', '1e999', 'NaN', '0x10', ''));
  const text = fc
    .array(fc.array(cell, { maxLength: 4 }), { maxLength: 6 })
    .map((lines) => ['name,cores', ...lines.map((cells) => cells.join(','))].join('\n'));
  fc.assert(
    fc.property(text, (each) => {
      try {
        for (const { cores } of rows(each)) assert.ok(Number.isFinite(cores));
      } catch (error) {
        if (!(error instanceof TableError)) throw error;
      }
    }),
  );
});
