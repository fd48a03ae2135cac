import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { painter, width } from '../../src/cli/render/style.ts';
import { renderTable } from '../../src/cli/render/table.ts';

const HEAD = ['GUEST', 'HOST', 'STATE', 'MEMORY', 'VCPUS', 'MACHINE', 'HYPERVISOR', 'NOTE'];
const cell = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.constantFrom('größe-ä', 'a b c', 'qemu 10.0.2 kvm'),
);
const rows = fc.array(fc.array(cell, { minLength: 8, maxLength: 8 }), {
  minLength: 1,
  maxLength: 5,
});

test('a table keeps every column, with its title whole, on terminals of 60 to 200 columns', () => {
  fc.assert(
    fc.property(rows, fc.integer({ min: 60, max: 200 }), fc.boolean(), (cells, columns, colors) => {
      const paint = painter(colors);
      const painted = cells.map((row) => row.map((each) => paint.yellow(each)));
      const lines = renderTable(HEAD, painted, { columns, isTerminal: true, paint })
        .trimEnd()
        .split('\n');
      assert.equal(lines.length, cells.length + 1);
      for (const line of lines) assert.ok(width(line) <= columns, line);
      for (const title of HEAD) assert.ok(lines[0]?.includes(title), title);
    }),
  );
});

test('a name is cut last, and what is piped is not cut at all', () => {
  const row = [
    'web1-of-the-accounting',
    'a',
    'running',
    '512 MiB',
    '1',
    'pc-q35-7.2',
    'qemu 7.2.22 kvm',
    'x'.repeat(90),
  ];
  const paint = painter(false);
  for (const columns of [80, 120, 200]) {
    const text = renderTable(HEAD, [row], { columns, isTerminal: true, paint });
    assert.ok(text.includes('web1-of-the-accounting  a '), text);
  }
  const piped = renderTable(HEAD, [row], { columns: 60, isTerminal: false, paint });
  assert.ok(piped.includes('x'.repeat(90)));
});
