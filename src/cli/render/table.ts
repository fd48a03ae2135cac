import { printableCell, truncate, width } from './style.ts';
import type { Painter } from './style.ts';

export interface Look {
  readonly columns: number;
  readonly isTerminal: boolean;
  readonly paint: Painter;
  /** The head is left out. */
  readonly isHeadless?: boolean;
}

/** Rows under a head, each column as wide as its widest cell; on a terminal no line is wider than it. */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  look: Look,
): string {
  const clean = rows.map((row) => row.map(printableCell));
  const widths = head.map((title, column) =>
    Math.max(title.length, ...clean.map((row) => width(row[column] ?? ''))),
  );
  const heads = look.isHeadless === true ? [] : [head.map((title) => look.paint.dim(title))];
  const lines = [...heads, ...clean].map((row) => {
    const cells = row.map((cell, column) => cell + pad(cell, widths[column] ?? 0));
    const line = cells.join('  ').trimEnd();
    return look.isTerminal ? truncate(line, look.columns) : line;
  });
  return `${lines.join('\n')}\n`;
}

/** `name  value` lines, the values aligned. */
export function renderPairs(pairs: readonly (readonly [string, string])[], paint: Painter): string {
  const widest = Math.max(0, ...pairs.map(([name]) => name.length));
  return pairs
    .map(([name, value]) => `${paint.dim(name.padEnd(widest))}  ${printableCell(value)}\n`)
    .join('');
}

function pad(cell: string, columns: number): string {
  return ' '.repeat(Math.max(0, columns - width(cell)));
}
