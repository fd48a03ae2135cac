import { printableCell, truncate, width } from './style.ts';
import type { Painter } from './style.ts';

/** Columns between two cells. */
const BETWEEN = 2;

export interface Look {
  readonly columns: number;
  readonly isTerminal: boolean;
  readonly paint: Painter;
  /** The head is left out. */
  readonly isHeadless?: boolean;
  /** Nothing is cut, and lists show further columns. */
  readonly isWide?: boolean;
}

/**
 * Rows under a head, each column as wide as its widest cell. On a terminal no line is wider than it: the widest columns
 * are cut, not the last ones, and the first, which has the name, only where nothing else is left to cut.
 */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  look: Look,
): string {
  const clean = rows.map((row) => row.map(printableCell));
  const full = head.map((title, column) =>
    Math.max(title.length, ...clean.map((row) => width(row[column] ?? ''))),
  );
  const isCut = look.isTerminal && look.isWide !== true;
  const widths = isCut ? fitted(full, head, look.columns) : full;
  const heads = look.isHeadless === true ? [] : [head.map((title) => look.paint.dim(title))];
  const lines = [...heads, ...clean].map((row) => {
    const cells = row.map((cell, column) => {
      const cut = truncate(cell, widths[column] ?? 0);
      return cut + pad(cut, widths[column] ?? 0);
    });
    const line = cells.join(' '.repeat(BETWEEN)).trimEnd();
    return isCut ? truncate(line, look.columns) : line;
  });
  return `${lines.join('\n')}\n`;
}

/** Widths that fit into a terminal, where that is possible with every title whole. */
function fitted(full: readonly number[], head: readonly string[], columns: number): number[] {
  const widths = [...full];
  const between = BETWEEN * (full.length - 1);
  let over = widths.reduce((sum, each) => sum + each, between) - columns;
  for (; over > 0; over -= 1) {
    const room = widths.map((each, at) => (each > (head[at]?.length ?? 0) ? each : 0));
    const others = Math.max(0, ...room.slice(1));
    const at = others > 0 ? room.indexOf(others, 1) : 0;
    if ((room[at] ?? 0) === 0) break;
    widths[at] = (widths[at] ?? 0) - 1;
  }
  return widths;
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
