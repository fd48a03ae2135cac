import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { fitTable, truncate, width, wrap } from '../../src/words/terminal-width.ts';
import { painter, printableCell } from '../../src/words/style.ts';
import { renderTable } from '../../src/words/table.ts';

const GUESTS = ['GUEST', 'HOST', 'STATE', 'MEMORY', 'VCPUS', 'MACHINE', 'HYPERVISOR', 'NOTE'];
/** A list of each shape that the command line prints: with minor columns, with words, with neither. */
const HEADS = [
  GUESTS,
  ['ID', 'GUEST', 'FROM', 'TO', 'MODE', 'PHASE', 'STARTED', 'TOOK', 'NOTE'],
  ['HOST', 'VERDICT', 'WHY'],
  ['MODE', 'PATH', 'STREAMS', 'ENDS', 'TIME', 'BYTES', 'DOWNTIME'],
];
/** What may be cut or left out; all else is whole wherever it fits on a line of its own. */
const MAY_GO = new Set(
  'MACHINE VCPUS HYPERVISOR NOTE MODE STARTED VERDICT WHY DOWNTIME'.split(' '),
);

const name = fc.oneof(
  fc.stringMatching(/^[a-z][a-z0-9.-]{0,24}$/),
  fc.constantFrom('Büro-größe', '東京サーバー', 'e\u0301te\u0301', 'b😀x', 'a b c'),
);
const words = fc.array(name, { maxLength: 20 }).map((each) => each.join(' '));
const lists = fc.constantFrom(...HEADS).chain((head) =>
  fc.record({
    head: fc.constant(head),
    rows: fc.array(
      fc.tuple(...head.map((title) => (MAY_GO.has(title) ? fc.oneof(name, words) : name))),
      { minLength: 1, maxLength: 5 },
    ),
  }),
);
const columns = fc.integer({ min: 60, max: 200 });

describe('a table on a terminal of 60 to 200 columns', () => {
  test('no line is wider than the terminal, and each title and important cell is whole', () => {
    fc.assert(
      fc.property(lists, columns, fc.boolean(), ({ head, rows }, most, colors) => {
        const paint = painter(colors);
        const painted = rows.map((row) => row.map((each) => paint.yellow(each)));
        const text = renderTable(head, painted, { columns: most, isTerminal: true, paint });
        for (const line of text.trimEnd().split('\n')) assert.ok(width(line) <= most, line);
        const plain = stripVTControlCharacters(text);
        for (const [at, title] of head.entries()) {
          if (MAY_GO.has(title)) continue;
          assert.ok(plain.includes(title), title);
          for (const row of rows)
            assert.ok(plain.includes(printableCell(row[at] ?? '')), row[at] ?? title);
        }
      }),
    );
  });

  test('the table names the columns that it has left out', () => {
    fc.assert(
      fc.property(lists, columns, ({ head, rows }, most) => {
        const text = renderTable(head, rows, {
          columns: most,
          isTerminal: true,
          paint: painter(false),
        });
        const noted = text.slice(text.indexOf('not shown')).replaceAll(/\s+/g, ' ');
        for (const title of head)
          if (!text.includes(title)) assert.ok(noted.includes(title.toLowerCase()), text);
      }),
    );
  });

  test('rows become lines if there is no room for a table, and nothing is lost', () => {
    const row = ['w'.repeat(50), 'h'.repeat(40), 'running', '1 GiB', '4', 'q35', 'qemu', 'a note'];
    const text = renderTable(GUESTS, [row, row], {
      columns: 60,
      isTerminal: true,
      paint: painter(false),
    });
    const lines = GUESTS.map((title, at) => `${title.padEnd(10)}  ${row[at]}\n`).join('');
    assert.equal(text, `${lines}\n${lines}`);
  });

  test('the table cuts sentences before it leaves out a column', () => {
    const full = [6, 4, 7, 7, 5, 10, 15, 90];
    assert.deepEqual(fitTable(GUESTS, full, 100), [6, 4, 7, 7, 5, 10, 15, 32]);
    const narrow = fitTable(GUESTS, full, 70);
    assert.deepEqual(narrow?.slice(0, 4), full.slice(0, 4));
    assert.ok((narrow[7] ?? 0) >= 16);
  });
});

test('piped output has every column whole, one line per row, whatever the width', () => {
  fc.assert(
    fc.property(lists, columns, ({ head, rows }, most) => {
      const look = { isTerminal: false, paint: painter(false) };
      const text = renderTable(head, rows, { ...look, columns: most });
      assert.equal(text, renderTable(head, rows, { ...look, columns: 200 }));
      const [, ...lines] = text.trimEnd().split('\n');
      assert.equal(lines.length, rows.length);
      for (const [at, row] of rows.entries())
        for (const cell of row) assert.ok(lines[at]?.includes(printableCell(cell).trimEnd()), cell);
    }),
  );
});

describe('the width of text', () => {
  test('the width counts wide characters as two columns and combining ones as none', () => {
    const widths = { größe: 5, 'gro\u0308ße': 5, 東京: 4, ｶﾅ: 2, 한글: 4, '😀': 2, '…→█': 3 };
    for (const [text, columns] of Object.entries(widths)) assert.equal(width(text), columns, text);
  });

  test('the width of a cut text is never more than its limit', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        fc.integer({ min: 1, max: 40 }),
        (text, most) => {
          assert.ok(width(truncate(text, most)) <= most);
        },
      ),
    );
  });
});

describe('a line that is too long', () => {
  test('a long line is broken between words, under its value, and keeps every word', () => {
    fc.assert(
      fc.property(name, words, columns, (first, text, most) => {
        const line = `${first}  ${text}`;
        const wrapped = wrap(line, most);
        for (const each of wrapped.split('\n')) assert.ok(width(each) <= most, each);
        assert.deepEqual(wrapped.split(/\s+/), line.split(/\s+/));
      }),
    );
    assert.equal(
      wrap(`name  ${'word '.repeat(12)}end`, 40),
      [`name  ${'word '.repeat(6)}word`.trimEnd(), `      ${'word '.repeat(5)}end`]
        .join('\n')
        .replace(/ +$/gm, ''),
    );
  });

  test('a long line keeps a command whole, so that it can be copied', () => {
    const command = '`godwit invite --role operator --for 2h`';
    assert.ok(wrap(`hint: ${'x'.repeat(45)} ${command} does`, 60).includes(`\n  ${command} does`));
  });
});
