import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import * as format from '../../../src/wire/stream/format.ts';

const page = readFileSync(
  path.resolve(import.meta.dirname, '../../../src/wire/stream/README.md'),
  'utf8',
);

/** Rows of the table under a heading: the cells of each. */
function rows(heading: string): string[][] {
  const from = page.indexOf(`\n### ${heading}\n`);
  assert.ok(from >= 0, `src/wire/stream/README.md has no heading ${heading}`);
  const section = page.slice(from + 1).split(/\n#/)[0] ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  );
}

const hex = (value: number): string => `0x${value.toString(16).padStart(2, '0')}`;

describe('src/wire/stream/README.md', () => {
  test('src/wire/stream/README.md lists each element in the code', () => {
    assert.deepEqual(
      rows('Elements').map(([type, name]) => [type, name]),
      Object.entries(format.ELEMENT).map(([name, type]) => [hex(type), name]),
    );
  });

  test('src/wire/stream/README.md lists each flag of RAM records', () => {
    assert.deepEqual(
      rows('RAM records').map(([flag, name]) => [flag, name]),
      Object.entries(format.RAM_FLAG).map(([name, flag]) => [hex(flag), name]),
    );
  });

  const messages = [
    ['Commands', format.COMMANDS],
    ['Return path', format.RETURN_MESSAGES],
  ] as const;
  for (const [heading, table] of messages) {
    test(`src/wire/stream/README.md lists each message of ${heading}, with its length and its first version`, () => {
      assert.deepEqual(
        rows(heading).map((cells) => cells.slice(0, 4)),
        [...table].map(([code, { name, payloadBytes, since }]) => [
          String(code),
          name,
          payloadBytes === undefined ? 'varies' : String(payloadBytes),
          since ?? '',
        ]),
      );
    });
  }
});
